package probe

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

var pmuNames = []string{"cpu_cycles", "cpu_instructions", "llc_misses"}

// softwareCounters makes a set whose hardware counters are the kernel's own of page
// faults: all, minor, major. The machines that tests run on have no other.
func softwareCounters(t testing.TB) *Set {
	t.Helper()
	families := catalogue.Families()
	configs := map[string]uint64{"cpu_cycles": unix.PERF_COUNT_SW_PAGE_FAULTS, "cpu_instructions": unix.PERF_COUNT_SW_PAGE_FAULTS_MIN,
		"llc_misses": unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ}
	for _, f := range families {
		if config, ok := configs[f.Name]; ok {
			f.Perf = &metric.PerfEvent{Type: unix.PERF_TYPE_SOFTWARE, Config: config}
		}
	}
	s, err := Open(Options{Families: families, Object: catalogue.Object})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	works(t, s, pmuNames...)
	return s
}

// What a counter counts while a task runs is the task's, on whichever CPU, and nobody
// else's: page faults, of which the worker knows how many it had.
func TestCountersBelongToWhoRan(t *testing.T) {
	s := softwareCounters(t)
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, pmuNames, g), newTarget(t, s, pmuNames, og)
	w, noise := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
	w.do("fault user 300")
	noise.do("fault user 300")
	exactOnce(t, func(t testing.TB) {
		noise.quiet()
		before, noiseBefore := w.quiet(), noise.quiet()
		old, oldOther := tg.mark(), other.mark()
		noise.tell("fault user 3000")
		w.do("fault user 1000")
		w.do("threads 3 touch 200")
		noise.answer()
		after, noiseAfter := w.quiet(), noise.quiet()
		for _, one := range []struct {
			mark
			minor, major uint64
		}{
			{tg.mark().since(old), after.Minor - before.Minor, after.Major - before.Major},
			{other.mark().since(oldOther), noiseAfter.Minor - noiseBefore.Minor, noiseAfter.Major - noiseBefore.Major},
		} {
			one.same(t, "cpu_cycles", one.minor+one.major)
			one.same(t, "cpu_instructions", one.minor)
			one.same(t, "llc_misses", one.major)
		}
	})
	if n := kernelCount(t, s, "pmu", "vp_failed"); n != 0 {
		t.Errorf("vp_failed = %d", n)
	}
	if err := s.Want(nil); err != nil {
		t.Fatal(err)
	}
	works(t, s, pmuNames...) // the counters are opened anew
	w.quiet()
	old, before := tg.mark(), w.quiet()
	w.do("fault user 700")
	after := w.quiet()
	if got := tg.mark().since(old)["cpu_cycles"]; got < 700 || got > after.Minor-before.Minor {
		t.Errorf("%d faults after a pause, the worker had %d", got, after.Minor-before.Minor)
	}
}

// A program that cannot be attached leaves no counter open: the CPU has few.
func TestCountersOfWhatIsNotAttached(t *testing.T) {
	s := softwareCounters(t)
	if err := s.Want(nil); err != nil {
		t.Fatal(err)
	}
	o := s.objects["pmu"]
	if err := o.coll.Programs["pmu_cycles"].Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Want(find(t, s, pmuNames...)); err == nil {
		t.Error("a program that is closed was attached")
	}
	if err := o.coll.Maps["cpu_cycles_counters"].Delete(uint32(0)); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the counter of CPU 0 is open still (%v)", err)
	}
	if err := o.coll.Maps["llc_misses_counters"].Delete(uint32(0)); err != nil {
		t.Errorf("the counter of a program that is attached is not open: %v", err)
	}
}

// A machine without a counter says so, and the other families of the group work.
func TestCounterThatIsNotThere(t *testing.T) {
	families := catalogue.Families()
	for _, f := range families {
		switch f.Name {
		case "cpu_cycles":
			f.Perf = &metric.PerfEvent{Type: unix.PERF_TYPE_SOFTWARE, Config: 1 << 20}
		case "llc_misses":
			f.Perf = &metric.PerfEvent{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_PAGE_FAULTS}
		}
	}
	s, err := Open(Options{Families: families, Object: catalogue.Object})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Want(find(t, s, "cpu_cycles", "llc_misses")); err != nil {
		t.Error(err)
	}
	for _, st := range s.Status() {
		if want := st.Family.Name == "llc_misses"; st.Family.Name != "cpu_instructions" && st.Works != want {
			t.Errorf("%s: works %v: %s", st.Family.Name, st.Works, st.Reason)
		}
	}
}
