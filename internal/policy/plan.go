// Package policy holds what is wanted: plans, their rules and selectors, and the
// names by which people ask for families. It is pure: no clock, no files.
package policy

import (
	"fmt"
	"path"
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
}

// A Rule gives families to the targets that it selects.
type Rule struct {
	Origin string // where it was written, for people: "--families", "viperprobe.yaml:7"
	Select Selector
	Wants  []Want
	Until  time.Time // zero: for good
}

// A Want is one family in a plan. Ratio is the share of events to look at: 1
// all of them, 0 switches the family off.
type Want struct {
	Family string
	Ratio  float64
}

// A Selector matches targets; an empty list matches anything. Globs are those of
// path.Match, except that a pattern that ends in "/**" matches the whole tree
// below its stem.
type Selector struct {
	Kinds      []metric.TargetKind
	Cgroups    []string // globs on the cgroup path
	Namespaces []string
	Pods       []string // globs
	Containers []string // globs
}

// Matches reports whether t is selected. The node and the remainder have no
// names and are only kept out by Kinds.
func (s *Selector) Matches(t *metric.Target) bool {
	if len(s.Kinds) > 0 && !slices.Contains(s.Kinds, t.Kind) {
		return false
	}
	if t.Kind == metric.Node || t.Kind == metric.Remainder {
		return true
	}
	return anyGlob(s.Cgroups, t.Cgroup) && (len(s.Namespaces) == 0 || slices.Contains(s.Namespaces, t.Namespace)) &&
		anyGlob(s.Pods, t.Pod) && anyGlob(s.Containers, t.Container)
}

func anyGlob(globs []string, s string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return glob(g, s) })
}

func glob(g, s string) bool {
	if stem, tree := cutTree(g); tree {
		for ; ; s = path.Dir(s) {
			if ok, _ := path.Match(stem, s); ok {
				return true
			}
			if s == "/" || s == "." {
				return false
			}
		}
	}
	ok, _ := path.Match(g, s)
	return ok
}

func cutTree(g string) (stem string, tree bool) {
	if g == "/**" {
		return "/", true
	}
	if n := len(g) - len("/**"); n > 0 && g[n:] == "/**" {
		return g[:n], true
	}
	return g, false
}

// CheckGlob says what is wrong with a glob.
func CheckGlob(g string) error {
	stem, _ := cutTree(g)
	if _, err := path.Match(stem, ""); err != nil {
		return fmt.Errorf("pattern %q: %w", g, err)
	}
	return nil
}

// For is what the plan wants of target t at time now: by family name, without
// the families that are off.
func (p *Plan) For(t *metric.Target, now time.Time) map[string]Want {
	wants := map[string]Want{}
	for i := range p.Rules {
		r := &p.Rules[i]
		if (!r.Until.IsZero() && !now.Before(r.Until)) || !r.Select.Matches(t) {
			continue
		}
		for _, w := range r.Wants {
			if w.Ratio <= 0 {
				delete(wants, w.Family)
			} else {
				wants[w.Family] = w
			}
		}
	}
	return wants
}

// Lapsed reports whether a rule ended between two moments, so that the plan wants
// something else now.
func (p *Plan) Lapsed(from, to time.Time) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Until.After(from) && !r.Until.After(to) })
}
