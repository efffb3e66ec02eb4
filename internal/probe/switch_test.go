package probe

import (
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

// What stays on is exact while others go on and off 10,000 times beside it: another family
// of the target, the same family of a neighbour, and their programs. Nothing is left behind.
func TestOthersAreSwitchedBeside(t *testing.T) {
	exactOnce(t, othersAreSwitchedBeside)
}

func othersAreSwitchedBeside(t testing.TB) {
	faults := []string{"user_faults", "kernel_faults"}
	s := want(t, append([]string{"runq_latency"}, faults...)...)
	mine, other := newGroup(t, nil), newGroup(t, nil)
	tg, neighbour := newTarget(t, s, faults, mine), newTarget(t, s, faults, other)
	w, beside := startWorker(t, workerOptions{Cgroup: mine}), startWorker(t, workerOptions{Cgroup: other})
	for _, x := range []*worker{w, beside} {
		x.do("fault user 1000") // all code and memory is there after this
	}
	kept, more := find(t, s, faults...), find(t, s, append([]string{"runq_latency"}, faults...)...)
	turn := func(tg *target, on []*metric.Family) {
		t.Helper()
		if err := s.Switch(tg.slot, on); err != nil {
			t.Fatal(err)
		}
	}
	turn(tg, more) // makes room for runq_latency
	turn(neighbour, more)
	open := len(descriptors())
	before, besideBefore := w.quiet(), beside.quiet()
	old, oldNeighbour := tg.mark(), neighbour.mark()
	const rounds, bursts = 10_000, 20
	for burst := range bursts {
		w.tell("fault user 5000")
		beside.tell("fault user 5000")
		for range rounds / bursts {
			turn(tg, kept)
			turn(neighbour, nil)
			turn(tg, more)
			turn(neighbour, more)
		}
		wanted := more
		if burst%2 == 0 {
			wanted = kept // the programs of runq_latency go, and come back
		}
		if err := s.Want(wanted); err != nil {
			t.Fatal(err)
		}
		w.answer()
		beside.answer()
	}
	after, besideAfter := w.quiet(), beside.quiet()
	d := tg.mark().since(old)
	if all := after.Minor + after.Major - before.Minor - before.Major; d["user_faults"]+d["kernel_faults"] != all || all < bursts*5000 {
		t.Errorf("%d + %d faults beside switching, the kernel's account of the process says %d", d["user_faults"], d["kernel_faults"], all)
	}
	all := besideAfter.Minor + besideAfter.Major - besideBefore.Minor - besideBefore.Major
	if n := neighbour.mark().since(oldNeighbour); n["user_faults"]+n["kernel_faults"] > all || n["user_faults"] == 0 {
		t.Errorf("%d + %d faults of the neighbour who was switched, of %d", n["user_faults"], n["kernel_faults"], all)
	}
	if n := len(descriptors()); n != open {
		t.Errorf("%d descriptors are open after switching, %d were before: %q", n, open, descriptors())
	}
	lossless(t, s)
}
