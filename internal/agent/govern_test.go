package agent

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// A governed agent tells its governor's steps.
type governed struct {
	*running
	mu    sync.Mutex
	steps []budget.Step
	names []string
}

func measureGoverned(t *testing.T, names ...string) *governed {
	t.Helper()
	g := &governed{names: names}
	g.running = measureWith(t, "/", func(o *Options) { o.Governed = g.add }, names...)
	g.limit(t, policy.Budget{})
	return g
}

func (g *governed) add(s budget.Step) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.steps = append(g.steps, s)
}

// limit applies the plan, in windows of a second, with a budget.
func (g *governed) limit(t *testing.T, b policy.Budget) {
	t.Helper()
	p := planOf(t, catalogue.Families(), g.names...)
	p.Interval, p.Budget = time.Second, b
	if err := g.Apply(p); err != nil {
		t.Fatal(err)
	}
}

// within polls until the state of the governor is such.
func (g *governed) within(t *testing.T, limit time.Duration, what string, ok func(*governing) bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		var done bool
		var last budget.Reading
		var steps []budget.Step
		if err := g.do(func() error {
			done, last = ok(&g.governing), g.governing.last
			if g.governing.governor != nil {
				steps = slices.Clone(g.governing.governor.Steps())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v; programs %.4f, process %.4f of a CPU, steps %+v", what, limit, last.Programs, last.Process, steps)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at a condition
	}
}

func (g *governed) attached() (n int) {
	_ = g.do(func() error {
		for _, u := range g.probes.Users() {
			if u.Every == 0 && u.Families[0].Gated() {
				n++
			}
		}
		return nil
	})
	return n
}

func stepsInForce(g *governing) []budget.Step {
	if g.governor == nil {
		return nil
	}
	return g.governor.Steps()
}

// A stop detaches all programs of the event tier, and when it is over they come back:
// first those that did not cause it.
func TestStopDetaches(t *testing.T) {
	g := measureGoverned(t, "runq_latency", "user_faults", "tcp_sent_bytes")
	all := g.attached()
	g.limit(t, policy.Budget{Limits: policy.Limits{CPU: 100}}) // nothing real is over it
	if err := g.do(func() error {
		g.judge([]probe.Cost{{Program: "sched_switch", Runs: 1, Time: 1000 * time.Second, Window: time.Second}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := g.attached(); all == 0 || n > 0 {
		t.Errorf("of %d programs of the event tier %d are attached while stopped", all, n)
	}
	var off []string
	g.within(t, 60*time.Second, "the end of the stop", func(g *governing) bool {
		off = slices.Sorted(maps.Keys(g.restraint.Off))
		return !g.restraint.Stopped
	})
	if !slices.Equal(off, []string{"runq_latency"}) {
		t.Errorf("after the stop %v are off, want what caused it", off)
	}
	g.within(t, 60*time.Second, "everything to be back", func(g *governing) bool { return len(stepsInForce(g)) == 0 })
	if n := g.attached(); n != all {
		t.Errorf("%d programs of the event tier are attached again, want %d", n, all)
	}
}

// Cells that were given back for memory are in the totals still.
func TestMemoryGivenBackIsInTheTotals(t *testing.T) {
	g := measureGoverned(t, "tcp_connect_latency", "tcp_sent_bytes")
	path := "/" + unique("memory")
	dir := mkdir(t, g.host, path)
	w := startIn(t, dir)
	total := func() uint64 {
		g.ledger.mu.Lock()
		defer g.ledger.mu.Unlock()
		var n uint64
		for _, b := range g.batches {
			for _, grp := range b.Groups {
				for _, s := range grp.Samples {
					if grp.Target.Cgroup == path && s.Family.Name == "tcp_connect_latency" {
						n = s.Sum.Count()
					}
				}
			}
		}
		return n
	}
	w.do("send 10")
	w.do("send 10")
	eventually(t, "two connections", func() bool { return total() == 2 })
	var bytes int
	if err := g.do(func() error { bytes = g.probes.MapBytes(); return nil }); err != nil {
		t.Fatal(err)
	}
	g.limit(t, policy.Budget{Limits: policy.Limits{Memory: bytes - 1}})
	g.within(t, 20*time.Second, "the histogram to go", func(g *governing) bool { return g.restraint.Off["tcp_connect_latency"] && g.last.Bytes < bytes })
	g.limit(t, policy.Budget{})
	w.do("send 10")
	eventually(t, "the third connection", func() bool { return total() == 3 })
	w.end()
	rmdir(t, dir)
}

// The traps of application probes are in what the governor sees, and it can do without
// them: first the ends of calls, then all.
func TestBudgetMindsTraps(t *testing.T) {
	path := "/" + unique("traps")
	r := measureApps(t, path, "{name: outer, function: outer}", nil)
	dir := mkdir(t, r.host, path)
	file := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(file, kerneltest.Calls(), 0o755); err != nil {
		t.Fatal(err)
	}
	w := start(t, dir, file, 0)
	t.Cleanup(func() { w.end(); rmdir(t, dir) })
	w.turns(1)
	r.awaitSites(t, path, 1)
	eventually(t, "the trap to be measured", func() bool { return r.apps.trap.Load() > 1 })
	// judge has the governor judge windows in which nothing but so many hits happened.
	judge := func(what string, windows int, ok func(*governing) bool) {
		t.Helper()
		if err := r.do(func() error {
			for range windows {
				for name, u := range r.probes.Users() {
					if u.Trap && slices.Contains(u.Families, r.byName["app_calls"]) { // where calls begin
						r.judge([]probe.Cost{{Program: name, Runs: uint64(30e9 / r.apps.trap.Load()), Window: time.Second}})
						break
					}
				}
			}
			if !ok(&r.governing) {
				t.Errorf("%s: programs %.2f, steps %+v", what, r.governing.last.Programs, stepsInForce(&r.governing))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.do(func() error { r.limit(policy.Budget{Limits: policy.Limits{CPU: 20}}); return nil }); err != nil {
		t.Fatal(err)
	}
	judge("after two windows", 2, func(g *governing) bool {
		return math.Abs(g.last.Programs-30) < 0.1 && g.restraint.Sums["app_latency"] == "app_calls"
	})
	judge("after two more", 2, func(g *governing) bool { return g.restraint.Off["app_calls"] })
	r.awaitSites(t, path, 0)
}
