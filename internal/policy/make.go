package policy

import (
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/document"
)

// Wishes are everything that a plan is made of.
type Wishes struct {
	Interval time.Duration // the longest that windows may be
	Base     []Rule        // of flags: before all policies
	Documents
	Final []Rule // of flags: what no policy may change
	Live  []Rule // changes while it runs, oldest first: they win over everything
}

// Make is the plan that wishes come to at time now: the base, then the policies, the
// most specific last, then what is final, then what was changed live. The order in
// which policies are given does not matter. Windows are as short as the shortest that
// the flags or a policy in force ask for.
func Make(w Wishes, generation int64, now time.Time) Plan {
	plan := Plan{Generation: generation, Interval: w.Interval, Rules: slices.Clone(w.Base), Patterns: w.Patterns}
	policies := make([]*ProbePolicy, 0, len(w.Policies))
	for i := range w.Policies {
		if p := &w.Policies[i]; p.Until.IsZero() || now.Before(p.Until) {
			policies = append(policies, p)
		}
	}
	slices.SortFunc(policies, compare)
	for _, p := range policies {
		plan.Rules = append(plan.Rules, p.rules()...)
		plan.Budget = plan.Budget.and(p.Budget)
		if p.Interval > 0 && p.Interval < plan.Interval {
			plan.Interval = p.Interval
		}
	}
	plan.AppRules = appRules(w.Patterns, policies)
	plan.Rules = append(plan.Rules, w.Final...)
	for _, r := range w.Live {
		if r.Until.IsZero() || now.Before(r.Until) {
			plan.Rules = append(plan.Rules, r)
		}
	}
	return plan
}

// and is the smaller of each limit; the order of value is the narrower policy's, b's.
func (a Budget) and(b Budget) Budget {
	a.CPU, a.Memory, a.Series = smaller(a.CPU, b.CPU), smaller(a.Memory, b.Memory), smaller(a.Series, b.Series)
	if len(b.Value) > 0 {
		a.Value = b.Value
	}
	return a
}

func smaller[T int | float64](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// rules are one for each entry, so that each can be told by its line.
func (p *ProbePolicy) rules() []Rule {
	var out []Rule
	for _, e := range p.Entries {
		r := Rule{Origin: p.origin(e.Line), Policy: p.Name, Line: e.Line, Select: p.Selector, Wants: e.Wants, Until: p.Until}
		if e.Select != nil {
			r.Select = *e.Select
		}
		out = append(out, r)
	}
	return out
}

// Supersede is files with those of more in place of the ones that hold documents of
// the same kind and name: what a folder would be with them.
func Supersede(files, more []File) []File {
	newer := map[string]bool{}
	for _, f := range more {
		newer[title(f)] = true
	}
	kept := slices.DeleteFunc(slices.Clone(files), func(f File) bool { return newer[title(f)] })
	return append(kept, more...)
}

func title(f File) string {
	kind, _ := document.Word(f.Data, "kind")
	name, _ := document.Word(f.Data, "metadata", "name")
	return kind + " " + name
}
