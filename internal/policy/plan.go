// Package policy holds what is wanted: plans, their rules and selectors, the
// documents that people write, the patterns of software that are recognised, and
// the names by which people ask for families. It is pure: no clock, no files but
// the patterns that come with it.
package policy

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A Plan is the whole wanted state of one node. It replaces the previous plan.
// Rules are judged by the agent alone, so that a target is measured before
// anybody else has heard of it.
type Plan struct {
	Generation int64
	Interval   time.Duration
	Rules      []Rule // where two rules speak about one family of one target, the later wins
	Budget     Budget
	Patterns   []Pattern // by which targets are recognised, in the order in which they are tried
	AppRules   []AppRule // of application probes; of two of a name for one target the later counts
}

// Limits are what measuring may cost on a node; a limit of 0 is none.
type Limits struct {
	CPU    float64 // share of one CPU, programs and the agent's process together
	Memory int     // bytes of kernel memory
	Series int     // samples in a batch
}

// A Budget is what the agent keeps to by itself, giving up the least valuable first.
type Budget struct {
	Limits
	Value []string // families, the most valuable first; those not named come after them
}

// A Rule gives families to the targets that it selects.
type Rule struct {
	Origin string // where it was written, for people: "--families", "viperprobe.yaml:7"
	Policy string // name of the ProbePolicy; "" when it is of none
	Line   int    // in the policy's file; 0 when it is of none
	Select Selector
	Wants  []Want
	Until  time.Time // zero: for good
}

// A Want is one family in a plan. Ratio is the share of events to look at: 1
// all of them, 0 switches the family off. Labels says in which series it is told; nil: all.
type Want struct {
	Family string
	Ratio  float64
	Labels Labels
}

// For is what the plan wants of target t at time now: by family name, without
// the families that are off.
func (p *Plan) For(t *metric.Target, now time.Time) map[string]Want {
	wants := map[string]Want{}
	for i := range p.Rules {
		if !p.Rules[i].applies(t, now) {
			continue
		}
		for _, w := range p.Rules[i].Wants {
			if w.Ratio <= 0 {
				delete(wants, w.Family)
			} else {
				wants[w.Family] = w
			}
		}
	}
	return wants
}

func (r *Rule) applies(t *metric.Target, now time.Time) bool {
	return (r.Until.IsZero() || now.Before(r.Until)) && r.Select.Matches(t)
}

// A Reason says which rule decides about one family of a target.
type Reason struct {
	Family string    `json:"family"`
	Ratio  float64   `json:"ratio"`
	Labels Labels    `json:"labels,omitzero"`  // the series in which it is told; absent: all
	Policy string    `json:"policy"`           // its name, or where else the rule was written
	Line   int       `json:"line"`             // of the policy's file; 0: the rule is in none
	Origin string    `json:"origin,omitempty"` // file:line, or the flag
	Until  time.Time `json:"until,omitzero"`

	Unsupported string `json:"unsupported,omitempty"` // why it does not work on this machine, whatever the rule says; a plan does not know
}

// Explain gives a reason for each family that some rule switches on or off for t,
// sorted by family.
func (p *Plan) Explain(t *metric.Target, now time.Time) []Reason {
	last := map[string]Reason{}
	for i := range p.Rules {
		r := &p.Rules[i]
		if !r.applies(t, now) {
			continue
		}
		name := cmp.Or(r.Policy, r.Origin)
		for _, w := range r.Wants {
			last[w.Family] = Reason{Family: w.Family, Ratio: w.Ratio, Labels: w.Labels, Policy: name, Line: r.Line, Origin: r.Origin, Until: r.Until}
		}
	}
	out := make([]Reason, 0, len(last))
	for _, family := range slices.Sorted(maps.Keys(last)) {
		out = append(out, last[family])
	}
	return out
}

// Unjudged names the policies that may mean a target whose labels are unknown: but for
// those they select it. Sorted.
func (p *Plan) Unjudged(t *metric.Target, now time.Time) []string {
	if t.Kind != metric.Container || t.Labels != nil {
		return nil
	}
	var out []string
	for _, r := range p.Rules {
		if len(r.Select.Labels) == 0 {
			continue
		}
		name := cmp.Or(r.Policy, r.Origin)
		r.Select.Labels = nil
		if r.applies(t, now) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Lapsed reports whether a rule ended between two moments, so that the plan wants
// something else now.
func (p *Plan) Lapsed(from, to time.Time) bool {
	over := func(until time.Time) bool { return until.After(from) && !until.After(to) }
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return over(r.Until) }) || slices.ContainsFunc(p.AppRules, func(r AppRule) bool { return over(r.Until) })
}
