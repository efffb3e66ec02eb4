package cgroup

import (
	"errors"
	"os"
	"path"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWalk(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	var got []string
	err := h.Walk(func(id uint64, at string) error {
		var st unix.Stat_t
		if err := unix.Stat(h.V2+at, &st); err != nil || st.Ino != id {
			t.Errorf("%s: id %d, inode %d, %v", at, id, st.Ino, err)
		}
		got = append(got, at)
		return nil
	})
	want := []string{"/", "/system.slice", "/system.slice/idle.service", "/system.slice/redis.service"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWalkStopsAtAnError(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	stop, calls := errors.New("stop"), 0
	err := h.Walk(func(uint64, string) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	if err := (&Host{V2: t.TempDir() + "/none"}).Walk(func(uint64, string) error { return nil }); err == nil {
		t.Error("a tree that is not there was walked")
	}
}

// A cgroup that goes away between two steps of the walk is not an error.
func TestWalkWhileCgroupsGo(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	var got []string
	err := h.Walk(func(_ uint64, at string) error {
		got = append(got, at)
		if at != "/system.slice" {
			return nil
		}
		return errors.Join(os.RemoveAll(h.V2+at+"/idle.service"), os.RemoveAll(h.V2+at+"/redis.service"))
	})
	if err != nil || !slices.Equal(got, []string{"/", "/system.slice"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWalkThisMachine(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	inner := path.Join(at, "inner")
	makeGroups(t, h, inner)
	seen := map[string]uint64{}
	err := h.Walk(func(id uint64, at string) error {
		if _, ok := seen[path.Dir(at)]; at != "/" && !ok {
			t.Errorf("%s came before its parent", at)
		}
		seen[at] = id
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(h.V2+inner, &st); err != nil || seen[inner] != st.Ino || seen[at] == 0 {
		t.Errorf("ids %d and %d, inode %d, %v", seen[at], seen[inner], st.Ino, err)
	}
}
