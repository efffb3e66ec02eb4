package probe

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// A diary is what Events told, from the moment on when it was opened.
type diary struct {
	mu     sync.Mutex
	events []Event
}

// watch keeps a diary until the test ends.
func watch(t *testing.T, s *Set) *diary {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	d, ended := &diary{}, make(chan error, 1)
	go func() {
		ended <- s.Events(ctx, func(e Event) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.events = append(d.events, e)
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

// about lists what was told of a cgroup.
func (d *diary) about(id uint64) []Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.events), func(e Event) bool { return e.ID != id })
}

// wait waits until n events were told of a cgroup.
func (d *diary) wait(t *testing.T, id uint64, n int) []Event {
	t.Helper()
	eventually(t, "events of a cgroup", func() bool { return len(d.about(id)) >= n })
	return d.about(id)
}

// template takes a slot whose switches new targets copy.
func template(t *testing.T, s *Set, names ...string) uint16 {
	t.Helper()
	slot, err := s.TakeSlot()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Switch(slot, find(t, s, names...)); err != nil {
		t.Fatal(err)
	}
	return uint16(slot)
}

func set(t *testing.T, s *Set, g *group, c Cgroup) {
	t.Helper()
	if err := s.SetCgroup(g.id, c); err != nil {
		t.Fatal(err)
	}
}

func TestCgroupEvents(t *testing.T) {
	s, _ := open(t)
	d := watch(t, s)
	parent := newGroup(t, nil)
	g := newGroup(t, parent)
	g.remove(t)
	got := d.wait(t, g.id, 3)
	want := []Event{
		{ID: g.id, Parent: parent.id, Kind: Made, Path: g.name},
		{ID: g.id, Kind: Removed, Path: g.name},
		{ID: g.id, Kind: Released, Path: g.name},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Event{}, "Monotonic")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(got, func(a, b Event) int { return int(int64(a.Monotonic - b.Monotonic)) }) {
		t.Errorf("not in the order of time: %v", got)
	}
}

func TestCgroupNestedInherits(t *testing.T) {
	s := want(t, taskNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, taskNames, g)
	inner := newGroup(t, newGroup(t, g))
	old := tg.mark()
	w := startWorker(t, workerOptions{Cgroup: inner})
	w.do("write 10 100")
	after := w.quiet()
	d := tg.mark().since(old)
	sameCPU(t, d, 0, inner.cpu(t))
	sameAccount(t, d, after)
	if got, ok := s.Cgroup(inner.id); !ok || got != (Cgroup{Slot: tg.slot}) {
		t.Errorf("inner cgroup is %+v, %v", got, ok)
	}
}

// A new cgroup so many levels below a watched one is measured from its first task's
// first instruction, before user space has heard of it.
func TestCgroupNewTarget(t *testing.T) {
	for _, levels := range []uint16{1, 3} {
		t.Run(string(rune('0'+levels)), func(t *testing.T) {
			names := append(slices.Clone(taskNames), "runq_latency", "oncpu_slice")
			s := want(t, names...)
			d := watch(t, s)
			top := newGroup(t, nil)
			from := template(t, s, names...)
			set(t, s, top, Cgroup{Levels: levels, Template: from})
			g := top
			for range levels {
				if c, ok := s.Cgroup(g.id); !ok || c.Slot != RemainderSlot {
					t.Fatalf("%s, above the targets, is %+v, %v", g.name, c, ok)
				}
				g = newGroup(t, g)
			}
			w := startWorker(t, workerOptions{Cgroup: newGroup(t, g)})
			w.do("write 10 100")
			made := d.wait(t, g.id, 1)[0]
			if made.Slot < firstSlot || made.Kind != Made {
				t.Fatalf("event %+v has no slot", made)
			}
			if diff := cmp.Diff(familyNames(s.Switched(uint32(from))), familyNames(s.Switched(made.Slot))); diff != "" {
				t.Errorf("switches (-template +new target):\n%s", diff)
			}
			after := w.quiet()
			tg := &target{t: t, set: s, slot: made.Slot, families: find(t, s, names...)}
			m := tg.mark()
			sameCPU(t, m, 0, g.cpu(t))
			sameAccount(t, m, after)
			lossless(t, s)
		})
	}
}

func TestCgroupSlotsRunOut(t *testing.T) {
	s, _ := open(t)
	var taken []uint32
	for {
		slot, err := s.TakeSlot()
		if err == ErrFull {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, slot)
	}
	if len(taken) != Slots-firstSlot {
		t.Errorf("%d slots, want %d", len(taken), Slots-firstSlot)
	}
	d := watch(t, s)
	top := newGroup(t, nil)
	set(t, s, top, Cgroup{Levels: 1})
	over := newGroup(t, top)
	if e := d.wait(t, over.id, 1)[0]; e.Slot != RemainderSlot {
		t.Errorf("event %+v has a slot", e)
	}
	if n := kernelCount(t, s, "cgroup", "vp_no_slot"); n != 1 {
		t.Errorf("vp_no_slot = %d, want 1", n)
	}
	if err := s.FreeSlot(taken[7]); err != nil {
		t.Fatal(err)
	}
	next := newGroup(t, top)
	if e := d.wait(t, next.id, 1)[0]; e.Slot != taken[7] {
		t.Errorf("event %+v, want slot %d", e, taken[7])
	}
}

func TestCgroupEventsAreBounded(t *testing.T) {
	s, _ := open(t)
	top := newGroup(t, nil)
	ids := map[uint64]bool{}
	const cgroups, kinds = 1000, 3
	for range cgroups {
		path := top.path + "/short"
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		ids[st.Ino] = true
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	var told uint64
	var d *diary
	eventually(t, "every event to be told or counted", func() bool {
		lost := kernelCount(t, s, "cgroup", "vp_events_lost")
		if lost == 0 {
			return false // not full yet: the kernel releases cgroups some time after their end
		}
		if d == nil {
			d = watch(t, s)
		}
		told = 0
		for id := range ids {
			told += uint64(len(d.about(id)))
		}
		return told+lost >= cgroups*kinds
	})
	if told == cgroups*kinds || told == 0 {
		t.Errorf("%d of %d events were told: the buffer was not full", told, cgroups*kinds)
	}
}

// A slot that has a new owner gets nothing from those who had cached its number.
func TestCgroupSlotUsedAgain(t *testing.T) {
	names := append(slices.Clone(taskNames), socketNames...)
	s := want(t, names...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, names, g)
	w := startWorker(t, workerOptions{})
	at := w.do("listen l 4 4")["port"]
	w.do("connect c 4 %d", at)
	w.do("accept l s")
	g.add(t, w.pid) // the sockets were made elsewhere: their storage names the slot
	s.Pass()
	tg.mark()
	w.do("write 10 100")
	w.do("send c 100")
	w.do("recv s 100")
	w.quiet()
	m := tg.mark()
	m.same(t, "syscall_io_calls/write", 10)
	tg.soon(t, nil, "tcp_received_bytes", 100)

	if err := s.ForgetCgroup(g.id); err != nil {
		t.Fatal(err)
	}
	if err := s.FreeSlot(tg.slot); err != nil {
		t.Fatal(err)
	}
	next := newTarget(t, s, names)
	if next.slot != tg.slot {
		t.Fatalf("slot %d, want %d again", next.slot, tg.slot)
	}
	for name, n := range next.read() {
		if n != 0 {
			t.Errorf("a freed slot has %s = %d", name, n)
		}
	}
	w.do("write 10 100")
	w.do("send c 100")
	w.do("recv s 100")
	w.do("close c")
	w.do("close s")
	w.quiet()
	next.mark()
	w.kill()
	eventually(t, "the worker's tasks to be freed", func() bool {
		_, err := os.ReadDir(fmt.Sprintf("/proc/%d", w.pid))
		return err != nil
	})
	for name, n := range next.mark() {
		if n != 0 {
			t.Errorf("the new owner of the slot was charged with %s = %d", name, n)
		}
	}
	lossless(t, s)
}
