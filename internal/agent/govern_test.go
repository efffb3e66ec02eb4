package agent

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/policy"
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

// look is what the governor measures of a storm under a budget that is never met.
func (g *governed) look(t *testing.T) (r budget.Reading) {
	t.Helper()
	g.limit(t, policy.Budget{Limits: policy.Limits{CPU: 1000}})
	g.within(t, 20*time.Second, "windows to be measured", func(g *governing) bool {
		r = g.last
		return len(g.process) == processShares
	})
	return r
}

// realCPU leaves out what is promised for CPUs that are no program.
func realCPU(t *testing.T) {
	if os.Getenv("VIPERPROBE_VM") != "" {
		t.Skip("an emulated CPU has other costs: the agent's process takes most of one")
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

// In a storm of context switches the budget holds within 10 seconds, and when it is
// over everything is back within 60.
func TestBudgetHoldsInAStorm(t *testing.T) {
	realCPU(t)
	g := measureGoverned(t, "runq_latency", "oncpu_slice", "runq_delay", "tcp_sent_bytes")
	_, calm := stormIn(t, g.running, "storm", "2")
	r := g.look(t)
	limit := r.Process + 0.35*r.Programs
	g.limit(t, policy.Budget{Limits: policy.Limits{CPU: limit}, Value: []string{"oncpu_slice"}})
	g.within(t, 10*time.Second, "something to be given up", func(g *governing) bool { return len(stepsInForce(g)) > 0 })
	g.within(t, 10*time.Second, "the budget to hold", func(g *governing) bool { return g.last.Programs+g.last.Process <= limit })
	calm()
	g.within(t, 60*time.Second, "everything to be back", func(g *governing) bool { return len(stepsInForce(g)) == 0 })
	eventually(t, "the last return to be told", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.steps) > 0 && g.steps[len(g.steps)-1].Undo
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if first := g.steps[0]; first.Undo || first.Why == "" || !slices.Contains(first.Families, "runq_latency") && first.Lever != budget.Interval && first.Lever != budget.Stop {
		t.Errorf("the first step was %+v, want the less valuable family's", first)
	}
}

// At twice the budget all programs of the event tier are detached at once, and come
// back when the storm is over.
func TestHardStopInAStorm(t *testing.T) {
	realCPU(t)
	g := measureGoverned(t, "runq_latency", "oncpu_slice", "user_faults", "tcp_sent_bytes")
	if g.attached() == 0 {
		t.Fatal("nothing is attached")
	}
	_, calm := stormIn(t, g.running, "stop", "2")
	r := g.look(t)
	limit := 0.1 * (r.Programs + r.Process)
	g.limit(t, policy.Budget{Limits: policy.Limits{CPU: limit}})
	g.within(t, 10*time.Second, "the stop", func(g *governing) bool { return g.restraint.Stopped })
	if n := g.attached(); n > 0 {
		t.Errorf("%d programs of the event tier are attached while stopped", n)
	}
	calm()
	// The agent alone may be over such a budget: what it must do is to end the stop.
	g.within(t, 60*time.Second, "the end of the stop", func(g *governing) bool { return !g.restraint.Stopped })
	g.limit(t, policy.Budget{})
	if g.attached() == 0 {
		t.Error("without a budget nothing came back")
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
