package control

import (
	"testing"

	"viperprobe.dev/viperprobe/internal/budget"
)

// What the governor gives up is recorded as its change, and explained until it is back.
func TestGovernedIsRecordedAndExplained(t *testing.T) {
	c, _ := start(t)
	if _, err := c.Set(Wish{Selector: "redis", Families: []string{"runq_latency"}, Ratio: 1}, Who{}); err != nil {
		t.Fatal(err)
	}
	reason := func() (policy string, ratio float64) {
		t.Helper()
		found, err := c.Explain("redis")
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		for _, r := range found[0].Reasons {
			if r.Family == "runq_latency" {
				return r.Policy, r.Ratio
			}
		}
		t.Fatal("runq_latency has no reason")
		return "", 0
	}
	before, _ := reason()
	for _, s := range []budget.Step{
		{Lever: budget.Rate, Families: []string{"runq_latency"}, Rate: 0.25, Why: "5 % of 2 %"},
		{Lever: budget.Drop, Families: []string{"runq_latency"}, Why: "5 % of 2 %"},
		{Lever: budget.Stop, Why: "5 % of 2 %"},
	} {
		c.Governed(s)
		want := s.Rate // 0 where it is off
		if by, ratio := reason(); by != Governor || ratio != want {
			t.Errorf("%s: explained by %q with ratio %g, want %s with %g", s.Lever, by, ratio, Governor, want)
		}
		s.Undo, s.Why = true, "below 80 %"
		c.Governed(s)
		if by, ratio := reason(); by != before || ratio != 1 {
			t.Errorf("%s given back: explained by %q with ratio %g", s.Lever, by, ratio)
		}
	}
	recorded := c.Changes().Recorded[1:]
	if len(recorded) != 6 {
		t.Fatalf("%d changes recorded, want 6: %+v", len(recorded), recorded)
	}
	for i, x := range recorded {
		want := []string{"give up", "give back"}[i%2]
		if x.Action != want || x.Who.Command != Governor || x.Who.PID != -1 || x.Why == "" || len(x.Families) != 1 {
			t.Errorf("change %d: %+v", i, x)
		}
	}
}
