//go:build !vm

// What the governor keeps to in time holds where CPUs are real: the VMs' are emulated
// (test/vm.sh builds with the tag vm), where this process takes most of one.

package agent

import (
	"slices"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/policy"
)

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

// In a storm of context switches the budget holds within 10 seconds, and when it is
// over everything is back within 60.
func TestBudgetHoldsInAStorm(t *testing.T) {
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
