package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

func TestFindPureV2(t *testing.T) {
	root := unpack(t, "v2")
	h := find(t, root)
	if h.Hybrid() || h.V2 != filepath.Join(root, "sys/fs/cgroup") || h.Proc != filepath.Join(root, "proc") {
		t.Errorf("got %q, %v, %q", h.V2, h.V1, h.Proc)
	}
	got := []string{h.MachineID, h.BootID, h.Node}
	want := []string{"0123456789abcdef0123456789abcdef", "11111111-2222-3333-4444-555555555555", "node-1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFindHybrid(t *testing.T) {
	root := unpack(t, "hybrid")
	h := find(t, root)
	want := map[string]string{}
	for controller, dir := range map[string]string{
		"cpu": "cpu,cpuacct", "cpuacct": "cpu,cpuacct", "memory": "memory", "blkio": "blkio", "pids": "pids",
	} {
		want[controller] = filepath.Join(root, "sys/fs/cgroup", dir)
	}
	if diff := cmp.Diff(want, h.V1); diff != "" {
		t.Error(diff)
	}
	if !h.Hybrid() || h.V2 != filepath.Join(root, "sys/fs/cgroup/unified") {
		t.Errorf("v2 at %q", h.V2)
	}
	if h.MachineID != "hostname:asker" || h.Node != "asker" {
		t.Errorf("machine %q, node %q: want those of a host without machine-id and hostname files", h.MachineID, h.Node)
	}
}

// In a container, our own mount table has the host's root inside its paths.
func TestFindByOwnMounts(t *testing.T) {
	root := t.TempDir()
	extend(t, root, "-- proc/self/mountinfo --\n41 31 0:38 / "+root+"/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"+
		"-- sys/fs/cgroup/cgroup.procs --\n")
	if h := find(t, root); h.V2 != root+"/sys/fs/cgroup" {
		t.Errorf("v2 at %q", h.V2)
	}
}

func TestFindWithoutCgroup2(t *testing.T) {
	root := t.TempDir()
	extend(t, root, "-- proc/1/mountinfo --\n35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n-- sys/fs/cgroup/memory/ --\n")
	_, err := Find(root)
	if !errors.Is(err, ErrNoCgroup2) || !strings.Contains(err.Error(), "mount -t cgroup2") {
		t.Errorf("got %v", err)
	}
	if _, err := Find(filepath.Join(root, "nowhere")); err == nil || errors.Is(err, ErrNoCgroup2) {
		t.Errorf("without proc: got %v", err)
	}
}

// The kernel makes a mount point with a space in it unreadable for people only.
func TestMountPointsAreUnescaped(t *testing.T) {
	got := parseMounts("1 2 0:3 / /a\\040b\\134c rw - cgroup2 none rw\n1 2 0:3 / /d\\04 rw shared:1 master:2 - cgroup2 none rw\n" +
		"bad line\n1 2 0:3 / /e - cgroup\n1 2 0:3 / /f rw - cgroup x rw,name=systemd\n1 2 0:3 / /g rw - ext4 /dev/x rw\n")
	want := []mount{{point: `/a b\c`, kind: "cgroup2"}, {point: `/d\04`, kind: "cgroup2"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mount{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzMounts(f *testing.F) {
	f.Add("31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n")
	f.Add("1 2 3 4 /\\04 - cgroup x rw,cpu,memory")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parseMounts(text) {
			if m.kind != "cgroup2" && len(m.controllers) == 0 {
				t.Errorf("a hierarchy without controllers: %+v", m)
			}
		}
		for _, c := range controllers {
			if group, ok := groupOf(text, c); ok && !strings.HasPrefix(group, "/") {
				t.Errorf("group %q", group)
			}
		}
	})
}

func TestFindThisMachine(t *testing.T) {
	h := find(t, "/")
	if h.BootID == "" || h.Node == "" || h.MachineID == "" {
		t.Errorf("facts are missing: %+v", h)
	}
	if _, err := os.Stat(filepath.Join(h.V2, "cgroup.procs")); err != nil {
		t.Error(err)
	}
	if err := h.View(); err != nil {
		t.Logf("this machine: %v", err)
	}
}

func TestViewOfAPart(t *testing.T) {
	root := unpack(t, "v2")
	extend(t, root, "-- sys/fs/cgroup/cgroup.events --\npopulated 1\n")
	err := find(t, root).View()
	if err == nil || !strings.Contains(err.Error(), "not the root of the host's cgroups") {
		t.Errorf("got %v", err)
	}
}

func TestTarget(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	now := time.Unix(100, 0)
	got := h.Target("/kubepods/burstable/pod"+uid+"/"+idB, 42, now)
	want := &metric.Target{
		ID:          metric.MakeID("0123456789abcdef0123456789abcdef", ":"+idB),
		Incarnation: "11111111-2222-3333-4444-555555555555:42",
		Kind:        metric.Container, Node: "node-1", PodUID: uid, Container: "b4fc5a8a5f7a", ContainerID: idB,
		Cgroup: "/kubepods/burstable/pod" + uid + "/" + idB, CgroupID: 42, NameSource: "path", Started: now,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if name := h.Target("/user.slice/user@1000.service/app.slice/x.service", 1, now).Name(); name != "x.service" {
		t.Errorf("a user's unit is called %q", name)
	}
	if name := h.Target("/batch", 1, now).Name(); name != "/batch" {
		t.Errorf("a plain cgroup is called %q", name)
	}
}

// A target's id follows what it is, not which cgroup it is in at the moment.
func TestTargetIDs(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	id := func(path string, cgroup uint64) metric.TargetID { return h.Target(path, cgroup, time.Time{}).ID }
	if id("/system.slice/a.service", 1) != id("/other.slice/a.service", 2) {
		t.Error("a unit that restarts or moves to another slice gets a new id")
	}
	seen := map[metric.TargetID]string{h.NodeTarget(1, time.Time{}).ID: "node"}
	for _, path := range []string{
		"/a", "/b", "/system.slice/a.service", "/user.slice/user@1.service/a.service", "/user.slice/user@2.service/a.service",
		"/docker/" + idA, "/docker/" + idB, "/default/a",
	} {
		if other, ok := seen[id(path, 1)]; ok {
			t.Errorf("%s and %s have one id", path, other)
		}
		seen[id(path, 1)] = path
	}
}
