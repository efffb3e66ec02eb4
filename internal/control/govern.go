package control

import (
	"fmt"
	"slices"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// Governor is who made the changes that keep the engine within its budget.
const Governor = "governor"

// Governed records a step of the engine's governor. Explain tells of what is given up.
func (c *Controller) Governed(s budget.Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := Change{Action: "give up", Families: s.Families, Why: s.Why, Who: Who{PID: -1, Command: Governor}}
	switch {
	case s.Lever == budget.Rate:
		x.Ratio = s.Rate
	case s.Lever == budget.Interval:
		x.Why = fmt.Sprintf("windows %d times as long: %s", s.Stretch, s.Why)
	case s.Lever == budget.Form:
		x.Why = fmt.Sprintf("%s in its place: %s", s.Sum, s.Why)
	case s.Lever == budget.Stop:
		x.Families = []string{string(metric.Event)}
	}
	if s.Undo {
		x.Action, x.Ratio = "give back", 1
		c.given = slices.DeleteFunc(c.given, func(g budget.Step) bool { return same(g, s) })
	} else {
		c.given = append(c.given, s)
	}
	c.record(&x)
}

func same(a, b budget.Step) bool {
	return a.Lever == b.Lever && a.Stretch == b.Stretch && a.Rate == b.Rate && slices.Equal(a.Families, b.Families)
}

// govern puts what is given up for the budget in place of the rules that would have it.
func (c *Controller) govern(reasons []policy.Reason) []policy.Reason {
	for i := range reasons {
		r := &reasons[i]
		for _, s := range c.given {
			if s.Lever == budget.Rate && slices.Contains(s.Families, r.Family) && r.Ratio > 0 {
				r.Ratio, r.Policy, r.Line, r.Origin = r.Ratio*s.Rate, Governor, 0, s.Why
			} else if r.Ratio > 0 && (slices.Contains(s.Families, r.Family) || s.Lever == budget.Stop && c.isEvent(r.Family)) {
				*r = policy.Reason{Family: r.Family, Policy: Governor, Origin: s.Why}
			}
		}
	}
	return reasons
}

func (c *Controller) isEvent(name string) bool {
	return slices.ContainsFunc(c.families, func(f *metric.Family) bool { return f.Name == name && f.Gated() })
}
