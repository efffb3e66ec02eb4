package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestV1Group(t *testing.T) {
	h := find(t, unpack(t, "hybrid"))
	pod := "/k8s-e2e/kubepods/burstable/pod" + uid + "/" + idA
	for _, c := range []struct {
		at, controller, group string
		own                   bool
	}{
		{pod, "memory", pod, true}, // nobody in it: the same path
		{pod, "cpu", pod, true},
		{"/system.slice/unaccounted.service", "memory", "/system.slice", false}, // an ancestor's
		{"/system.slice/unaccounted.service", "cpu", "/", false},
		{"/moved", "memory", "/elsewhere/moved", true}, // its own, elsewhere
		{"/moved", "pids", "/elsewhere/moved", true},   // where the member is, although the same path is there
		{"/moved", "cpuacct", "/moved", true},          // deeper on v1 than on v2
		{"/system.slice/none.service", "memory", "/system.slice", false},
	} {
		group, own, err := h.v1Group(c.at, c.controller)
		if err != nil || group != c.group || own != c.own {
			t.Errorf("%s of %s: got %s, own %t, %v; want %s, own %t", c.controller, c.at, group, own, err, c.group, c.own)
		}
		id, own, err := h.V1ID(c.at, c.controller)
		var st unix.Stat_t
		if stat := unix.Stat(filepath.Join(h.V1[c.controller], c.group), &st); stat != nil || err != nil || id != st.Ino || own != c.own {
			t.Errorf("%s of %s: id %d, own %t, %v; inode %d, %v", c.controller, c.at, id, own, err, st.Ino, stat)
		}
	}
	if _, _, err := find(t, unpack(t, "v2")).V1ID("/system.slice", "memory"); err == nil {
		t.Error("a v1 group on a host without v1")
	}
}

func TestGroupOf(t *testing.T) {
	const text = "4:memory:/a:b\n2:cpu,cpuacct:/c (deleted)\n1:pids:/../out\n0::/v2\nbad\n"
	for controller, want := range map[string]string{"memory": "/a:b", "cpuacct": "/c", "pids": "", "blkio": "", "": ""} {
		got, ok := groupOf(text, controller)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %t", controller, got, ok)
		}
	}
}

// On a hybrid host a process can be in a v2 cgroup and not in the v1 group of
// the same name.
func TestV1IDOnThisMachine(t *testing.T) {
	h := find(t, "/")
	if h.V1["memory"] == "" {
		if _, _, err := h.V1ID("/", "memory"); err == nil {
			t.Error("a v1 group on a host without v1")
		}
		return
	}
	at := makeCgroup(t, h)
	inode := func(path string) uint64 {
		var st unix.Stat_t
		if err := unix.Stat(h.V1["memory"]+path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	if id, own, err := h.V1ID(at, "memory"); id != inode(at) || !own || err != nil {
		t.Errorf("an empty cgroup: %d, %t, %v", id, own, err)
	}
	start(t, h, at).do(t, "burn 0")
	if id, own, err := h.V1ID(at, "memory"); id != inode(at) || !own || err != nil {
		t.Errorf("with a member: %d, %t, %v", id, own, err)
	}
	member, ok := h.firstMember(at)
	if !ok {
		t.Fatal("no member")
	}
	if err := os.WriteFile(h.V1["memory"]+"/cgroup.procs", []byte(member), 0); err != nil {
		t.Fatal(err)
	}
	if id, own, err := h.V1ID(at, "memory"); id != inode("/") || own || err != nil {
		t.Errorf("with its member in the root: %d, %t, %v; root is %d", id, own, err, inode("/"))
	}
}
