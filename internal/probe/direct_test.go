package probe

import (
	"sync/atomic"
	"testing"
)

// Two cgroups whose ids fall on one entry of vp_direct are told apart, whichever
// came first, and the entry goes to the other when the first has gone.
func TestCgroupsThatShareAnEntry(t *testing.T) {
	s := want(t, taskNames...)
	g := newGroup(t, nil)
	other := g.id + 1<<40*directs
	entry := &s.direct[g.id%directs*2]
	if err := s.SetCgroup(other, Cgroup{Slot: NodeSlot}); err != nil {
		t.Fatal(err)
	}
	tg := newTarget(t, s, taskNames, g)
	if got := atomic.LoadUint64(entry); got != other {
		t.Fatalf("the entry is that of %d, want the first, %d", got, other)
	}
	w := startWorker(t, workerOptions{Cgroup: g})
	writes := func(n uint64) {
		t.Helper()
		w.quiet()
		old := tg.mark()
		w.do("write %d 10", n)
		w.quiet()
		tg.mark().since(old).same(t, "syscall_io_bytes/write", n*10)
	}
	writes(7)
	if err := s.ForgetCgroup(other); err != nil {
		t.Fatal(err)
	}
	if got := atomic.LoadUint64(entry); got != 0 {
		t.Fatalf("the entry is still that of %d", got)
	}
	writes(8)
	if err := s.SetCgroup(g.id, Cgroup{Slot: tg.slot}); err != nil {
		t.Fatal(err)
	}
	if got := atomic.LoadUint64(entry); got != g.id {
		t.Fatalf("the entry is that of %d, want %d", got, g.id)
	}
	writes(9)
	lossless(t, s)
}
