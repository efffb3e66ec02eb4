package probe

import (
	"math"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/metric"
)

// Each time that a task is given a CPU is one observation of runq_latency, each
// time that it leaves one is one of oncpu_slice.
func TestSchedCountsEverySwitch(t *testing.T) {
	names := append([]string{"runq_latency", "oncpu_slice"}, taskNames...)
	s := want(t, names...)
	kerneltest.Exact(t, "runq_latency", "oncpu_slice")
	g := newGroup(t, nil)
	tg := newTarget(t, s, names, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	exactOnce(t, func(t testing.TB) {
		w.quiet()
		old := tg.mark()
		w.do("sleep 200 1000")
		w.do("threads 4 spin 20")
		w.quiet()
		var d mark
		poll(5*time.Second, func() bool { // what has ended is folded when it is freed
			d = tg.mark().since(old)
			return d["runq_latency/count"] == d["timeslices"]
		})
		if d["timeslices"] < 200 || d["runq_latency/sum"] > d["runq_delay"] {
			t.Errorf("200 sleeps: %v", d)
		}
		if left := d["context_switches/voluntary"] + d["context_switches/involuntary"]; d["runq_latency/count"] != d["timeslices"] || d["oncpu_slice/count"] != left {
			t.Errorf("%d observations of runq_latency for %d timeslices, %d of oncpu_slice for %d switches",
				d["runq_latency/count"], d["timeslices"], d["oncpu_slice/count"], left)
		}
	})
	lossless(t, s)
}

// Where no task migrates, the histogram's sum is run_delay to the nanosecond: both
// are the run queue's clock less last_queued (trap 10).
func TestSchedLatencySumOnOneCPU(t *testing.T) {
	names := append([]string{"runq_latency", "oncpu_slice"}, taskNames...)
	s := want(t, names...)
	kerneltest.Exact(t, "runq_latency")
	g := newGroup(t, nil)
	tg := newTarget(t, s, names, g)
	a, b := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: g})
	a.do("pin 0")
	b.do("pin 0")
	exactOnce(t, func(t testing.TB) {
		a.quiet()
		b.quiet()
		old := tg.mark()
		a.tell("spin 100")
		b.do("spin 100")
		a.answer()
		a.quiet()
		b.quiet()
		d := tg.mark().since(old)
		d.same(t, "migrations", 0)
		d.same(t, "runq_latency/sum", d["runq_delay"])
		d.same(t, "runq_latency/count", d["timeslices"])
		if d["runq_delay"] < 50e6 {
			t.Errorf("two spinners of 100 ms on one CPU waited %d ns", d["runq_delay"])
		}
		// A slice is told by the run queue's clock, CPU time by its task clock, which
		// leaves out interrupts and steal: never less, and here mostly the same.
		if d["oncpu_slice/sum"] < d["cpu_time"] {
			t.Errorf("slices sum up to %d ns, less than the CPU time, %d", d["oncpu_slice/sum"], d["cpu_time"])
		}
	})
	lossless(t, s)
}

func TestSchedOffCPU(t *testing.T) {
	names := append([]string{"offcpu_time"}, taskNames...)
	s := want(t, names...)
	kerneltest.Exact(t, "offcpu_time")
	g := newGroup(t, nil)
	tg := newTarget(t, s, names, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("sleep 1 1000") // each absence that is counted began under our eyes
	w.quiet()
	old, hist := tg.mark(), tg.hist("offcpu_time")
	const sleeps, ns = 50, 2_000_000
	w.do("sleep %d %d", sleeps, ns)
	after := w.quiet()
	d := tg.mark().since(old)
	if n := d["offcpu_time/count"]; n > d["timeslices"] || n+after.Threads < d["timeslices"] {
		t.Errorf("%d absences, %d timeslices, %d threads", n, d["timeslices"], after.Threads)
	}
	now := tg.hist("offcpu_time")
	long := now.Sub(hist)
	var n uint64
	for i := range metric.Buckets {
		if metric.Bound(metric.Seconds, i) > ns/1e9 {
			n += long.At(i)
		}
	}
	if n < sleeps || d["offcpu_time/sum"] < sleeps*ns {
		t.Errorf("%d absences of 2 ms, want %d; %d ns in sum", n, sleeps, d["offcpu_time/sum"])
	}
	lossless(t, s)
}

// Switches on and off: two targets take turns at the same tasks, and no switch is
// lost or counted twice between them.
func TestSchedSwitchingLosesNothing(t *testing.T) {
	names := append([]string{"runq_latency"}, taskNames...)
	s := want(t, names...)
	g := newGroup(t, nil)
	a := newTarget(t, s, names, g)
	b := newTarget(t, s, names)
	w := startWorker(t, workerOptions{Cgroup: g})
	exactOnce(t, func(t testing.TB) {
		w.quiet()
		oldA, oldB := a.mark(), b.mark()
		w.tell("sleep 3000 20000")
		for i := range 10_000 {
			tg := [...]*target{b, a}[i%2]
			if err := s.SetCgroup(g.id, Cgroup{Slot: tg.slot}); err != nil {
				t.Fatal(err)
			}
		}
		w.answer()
		w.quiet()
		da, db := a.mark().since(oldA), b.mark().since(oldB)
		count, slices := da["runq_latency/count"]+db["runq_latency/count"], da["timeslices"]+db["timeslices"]
		if count != slices || slices < 3000 {
			t.Errorf("%d + %d observations for %d timeslices", da["runq_latency/count"], db["runq_latency/count"], slices)
		}
	})
	lossless(t, s)
}

// A family that goes on and off 10,000 times under load counts nothing while it is
// off and never breaks.
func TestSchedGate(t *testing.T) {
	names := append([]string{"runq_latency"}, taskNames...)
	s := want(t, names...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, names, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	w.quiet()
	old := tg.mark()
	w.tell("sleep 3000 20000")
	on := find(t, s, "runq_latency")
	for range 10_000 {
		if err := s.Switch(tg.slot, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Switch(tg.slot, on); err != nil {
			t.Fatal(err)
		}
	}
	w.answer()
	w.quiet()
	d := tg.mark().since(old)
	if d["runq_latency/count"] > d["timeslices"] {
		t.Errorf("%d observations for %d timeslices", d["runq_latency/count"], d["timeslices"])
	}
	if err := s.Switch(tg.slot, nil); err != nil {
		t.Fatal(err)
	}
	off := tg.mark()
	w.do("sleep 100 1000")
	w.quiet()
	d = tg.mark().since(off)
	d.same(t, "runq_latency/count", 0)
	if d["timeslices"] < 100 {
		t.Errorf("%d timeslices after 100 sleeps", d["timeslices"])
	}
	lossless(t, s)
}

// Sleeps of different lengths fall where metric.Bound says: the program's integer
// buckets agree with the exact ones within the resolution of 2^56/1e9 per ns.
func TestSchedBucketsAreBounds(t *testing.T) {
	names := []string{"oncpu_slice", "runq_latency"}
	s := want(t, names...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, names, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("spin 30")
	w.do("sleep 100 1000")
	w.quiet()
	for _, name := range names {
		h := tg.hist(name)
		var lo, hi float64
		for i := range metric.Buckets {
			n := float64(h.At(i))
			if i > 0 {
				lo += n * metric.Bound(metric.Seconds, i-1)
			}
			if n > 0 {
				hi += n * metric.Bound(metric.Seconds, i)
			}
		}
		if sum := float64(h.Sum) / 1e9; sum < lo || sum > hi || math.IsInf(hi, 1) {
			t.Errorf("%s: the sum %g s is not between the sums of bounds, %g and %g", name, sum, lo, hi)
		}
	}
}
