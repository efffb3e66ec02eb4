package probe

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// tlbActions: "flush N" gives a page back N times, "shoot N" does so while another
// thread runs on another CPU, both through the same address space.
func tlbActions() map[string]action {
	return map[string]action{
		"flush": func(_ *job, args []string) (answer, error) { return nil, giveBack(number(args, 0)) },
		"shoot": func(_ *job, args []string) (answer, error) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
			var runs, stop atomic.Bool
			ended := make(chan error, 1)
			go func() {
				runtime.LockOSThread() // and stays, pinned: its end would be a flush too
				one := unix.CPUSet{}
				one.Set(1)
				err := unix.SchedSetaffinity(0, &one)
				for runs.Store(true); !stop.Load(); {
				}
				ended <- err
				select {}
			}()
			for !runs.Load() {
				runtime.Gosched()
			}
			one := unix.CPUSet{}
			one.Set(0)
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				return nil, err
			}
			err := giveBack(number(args, 0))
			stop.Store(true)
			if err := <-ended; err != nil {
				return nil, err
			}
			return nil, err
		},
	}
}

// giveBack touches a page and gives it back, n times: a flush each.
func giveBack(n int) error {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(b)
	for range n {
		b[0] = 1
		if err := unix.Madvise(b, unix.MADV_DONTNEED); err != nil {
			return err
		}
	}
	return nil
}

// orders counts a thread's orders in the kernel's own trace, by our label.
func orders(events []traced) map[string]uint64 {
	n := map[string]uint64{}
	for _, e := range events {
		switch at := e.text[strings.LastIndexByte(e.text, '(')+1:]; at {
		case "2)":
			n["local_all"]++
		case "3)":
			n["local"]++
		case "4)":
			n["remote"]++
		}
	}
	return n
}

func received(events []traced) (n uint64) {
	for _, e := range events {
		if strings.HasSuffix(e.text, "(1)") || strings.HasSuffix(e.text, "(5)") {
			n++
		}
	}
	return n
}

func TestTLBFlushesAreThoseOrdered(t *testing.T) {
	names := []string{"tlb_flushes", "tlb_flushes_received"}
	kerneltest.Exact(t, names...)
	for _, how := range []string{"flush", "shoot"} {
		t.Run(how, func(t *testing.T) {
			s := want(t, names...)
			g, og := newGroup(t, nil), newGroup(t, nil)
			tg, other := newTarget(t, s, names[:1], g), newTarget(t, s, names[:1], og)
			node := slotTarget(t, s, NodeSlot, names[1])
			w, idle := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
			w.do("%s 10", how)
			idle.quiet()
			w.quiet()
			outer, inner := newTrace(t, "tlb/tlb_flush"), newTrace(t, "tlb/tlb_flush")
			outer.start(t)
			old, oldOther, oldNode := tg.mark(), other.mark(), node.mark()
			inner.start(t)
			w.do("%s 500", how)
			w.quiet()
			inner.stop(t)
			d, n := tg.mark().since(old), node.mark().since(oldNode)
			none := other.mark().since(oldOther)
			outer.stop(t)

			for label, count := range orders(w.traced(outer)) {
				d.same(t, "tlb_flushes/"+label, count)
			}
			if got := d["tlb_flushes/local"]; got < 500 || got > 520 {
				t.Errorf("tlb_flushes/local = %d for 500 pages given back", got)
			}
			if got := d["tlb_flushes/remote"]; how == "shoot" && got == 0 {
				t.Error("another CPU had the address space, and was not told")
			}
			for name, v := range none {
				if v != 0 {
					t.Errorf("another target's %s = %d", name, v)
				}
			}
			// An order of another CPU that interrupts the program is not seen: the kernel
			// counts those.
			stats, err := s.objects["tlb"].coll.Programs["tlb_receive"].Stats()
			if err != nil {
				t.Fatal(err)
			}
			got := n["tlb_flushes_received"]
			if least, most := received(inner.events(t)), received(outer.events(t)); got+stats.RecursionMisses < least || got > most {
				t.Errorf("%d flushes received, the kernel's trace says %d to %d", got, least, most)
			}
			if n := kernelCount(t, s, "tlb", "vp_failed"); n != 0 {
				t.Errorf("vp_failed = %d", n)
			}
		})
	}
}
