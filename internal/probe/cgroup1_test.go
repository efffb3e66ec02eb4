package probe

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestCgroupsOfOtherHierarchiesAreBounded(t *testing.T) {
	s, _ := open(t)
	n := int(s.shared["vp_cgroups1"].MaxEntries())
	for id := range n {
		if err := s.SetCgroup1(7, uint64(id), 2); err != nil {
			t.Fatalf("cgroup %d of %d: %v", id, n, err)
		}
	}
	if err := s.SetCgroup1(7, 5, 3); err != nil {
		t.Errorf("a cgroup that is known already: %v", err)
	}
	if err := s.SetCgroup1(6, 5, 2); err == nil {
		t.Error("one more than there is room for was taken")
	}
	if err := s.ForgetCgroup1(7, 5); err != nil {
		t.Error(err)
	}
	if err := s.ForgetCgroup1(7, 5); err != nil {
		t.Errorf("forgotten already: %v", err)
	}
	if err := s.SetCgroup1(6, 5, 2); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

// Ids of a v1 hierarchy collide with those of v2: neither is taken for the other.
func TestCgroupsOfOtherHierarchiesDoNotCollide(t *testing.T) {
	mount, hierarchy := blkio(t)
	s := want(t, blockNames...)
	g := newGroup(t, nil)
	wrong := newTarget(t, s, blockNames)
	if mount == "" {
		hierarchy = 1 // pure v2: an entry of v1 must not be looked at
		if err := s.SetCgroup1(hierarchy, g.id, wrong.slot); err != nil {
			t.Fatal(err)
		}
	} else {
		var st unix.Stat_t
		if err := unix.Stat(mount, &st); err != nil {
			t.Fatal(err)
		}
		if err := s.SetCgroup1(hierarchy+1, st.Ino, wrong.slot); err != nil {
			t.Fatal(err)
		}
		if err := s.SetCgroup(st.Ino, Cgroup{Slot: wrong.slot}); err != nil {
			t.Fatal(err)
		}
	}
	node := slotTarget(t, s, NodeSlot, blockNames...)
	d := testDisk(t)
	tg := newTarget(t, s, blockNames)
	w := startWorker(t, workerOptions{Cgroup: g})
	if mount == "" {
		if err := s.SetCgroup(g.id, Cgroup{Slot: tg.slot}); err != nil {
			t.Fatal(err)
		}
	} else {
		tg = node // the worker is in the root of blkio
	}
	old := tg.mark()
	w.do("disk write %s 9 4096", d.path)
	if n := tg.mark().since(old)["block_requests/write"]; n < 9 {
		t.Errorf("%d requests of 9 came to their target", n)
	}
	wrong.mark().same(t, "block_requests/write", 0)
}
