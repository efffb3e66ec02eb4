package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// inspect shows the target of a cgroup's directory while the loop waits.
func (r *running) inspect(t *testing.T, dir string, at func(x *target)) {
	t.Helper()
	if err := r.do(func() error {
		if g := r.tree.paths[dir[len(r.host.V2):]]; g != nil && g.target != nil {
			at(g.target)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// The files of a target that sleeps are not read, and all of what it did is counted
// when it has done something again.
func TestSleepingTargetsAreReadWhenTheyWake(t *testing.T) {
	r := measureAll(t, "cpu_usage", "cpu_time")
	dir := mkdir(t, r.host, unique("sleeper"))
	w := startIn(t, dir)
	t.Cleanup(func() { w.end(); rmdir(t, dir) })
	path := dir[len(r.host.V2):]
	still := func() (n int) {
		r.inspect(t, dir, func(x *target) { n = x.still })
		return n
	}
	for range 3 {
		eventually(t, "sleep", func() bool { return still() > settling+1 })
		before := r.sum(path, "cpu_usage")
		w.do("fault 20000")
		eventually(t, "waking", func() bool { return still() <= settling })
		eventually(t, "its CPU time", func() bool { return r.sum(path, "cpu_usage") > before })
	}
	w.do("fault 20000")
	eventually(t, "both accounts of its CPU time to be equal", func() bool {
		files, tasks := r.sum(path, "cpu_usage"), r.sum(path, "cpu_time")
		return still() > settling && files <= tasks+1000 && tasks <= files+1000 // whole microseconds
	})
}

// What runs in a container inside a target is in that target's files too, so that
// they are read whether it sleeps or not.
func TestTargetsThatHoldOthersNeverSleep(t *testing.T) {
	r := measureAll(t, "cpu_usage", "cpu_time")
	outer := mkdir(t, r.host, unique("outer"))
	inner := filepath.Join(outer, "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	w := startIn(t, inner)
	t.Cleanup(func() { w.end(); rmdir(t, inner); rmdir(t, outer) })
	eventually(t, "the inner target to sleep", func() (sleeps bool) {
		r.inspect(t, inner, func(x *target) { sleeps = x.still > settling })
		return sleeps
	})
	r.inspect(t, outer, func(x *target) {
		if !x.holds || x.sleeps(r.probes) {
			t.Errorf("holds %v", x.holds)
		}
	})
	before := r.sum(outer[len(r.host.V2):], "cpu_usage")
	w.do("fault 20000")
	eventually(t, "CPU time of the inner one in the outer one's files", func() bool {
		return r.sum(outer[len(r.host.V2):], "cpu_usage") > before
	})
}
