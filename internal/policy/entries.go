package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/metric"
)

// breadth is how much a word takes in: a family is narrower than its tier, that than
// its class, and these than all of them.
func breadth(word string, catalogue []*metric.Family) int {
	switch {
	case word == "all":
		return 4
	case word == "default":
		return 3
	case slices.ContainsFunc(catalogue, func(f *metric.Family) bool { return f.Is(word) }):
		return 0
	case slices.Contains(metric.Classes, metric.Class(word)):
		return 2
	}
	return 1
}

// entries turns what a policy says of families into entries, the broadest word first,
// so that a family's own name wins over its class whatever the order.
func (r *reader) entries(d *document.Document, list []familyEntry) []Entry {
	type ranked struct {
		Entry
		breadth int
	}
	var out []ranked
	for i, e := range list {
		key := fmt.Sprintf("spec.families[%d]", i)
		if d.Line(key+".name") > 0 {
			key += ".name"
		}
		families, err := Resolve([]string{e.Name}, r.catalogue)
		if err != nil {
			r.fault(d, key, "%v", err)
			continue
		}
		ratio := 1.0
		if e.Ratio != nil {
			ratio = *e.Ratio
			if families, err = Sampled(e.Name, families, ratio); err != nil {
				r.fault(d, fmt.Sprintf("spec.families[%d].ratio", i), "%v", err)
				continue
			}
		}
		wants, err := InForm(e.Form, e.Name, families, ratio, r.catalogue)
		if err != nil {
			r.fault(d, fmt.Sprintf("spec.families[%d].form", i), "%v", err)
			continue
		}
		if wants, err = Labelled(e.Name, wants, e.Labels, r.catalogue); err != nil {
			at := fmt.Sprintf("spec.families[%d].labels", i)
			var f *labelFault
			if errors.As(err, &f) {
				at += f.at
			}
			r.fault(d, at, "%v", err)
			continue
		}
		entry := ranked{Entry{Line: d.Line(key), Wants: wants}, breadth(e.Name, r.catalogue)}
		for _, other := range out {
			if both, what := contradiction(other.Entry, entry.Entry); both != "" && other.breadth == entry.breadth {
				r.fault(d, key, "%s has %s on line %d; remove one", both, what, other.Line)
			}
		}
		out = append(out, entry)
	}
	slices.SortStableFunc(out, func(a, b ranked) int { return b.breadth - a.breadth })
	entries := make([]Entry, len(out))
	for i := range out {
		entries[i] = out[i].Entry
	}
	return entries
}

// appEntry switches the application families on for a policy that declares probes, ahead
// of what it says of families.
func (r *reader) appEntry(d *document.Document) Entry {
	e := Entry{Line: d.Line("spec.probes")}
	for _, f := range r.catalogue {
		if f.Tier == metric.App {
			e.Wants = append(e.Wants, Want{Family: f.Name, Ratio: 1})
		}
	}
	return e
}

// MinRatio is the smallest share of events that can be asked for.
const MinRatio = 0.001

// CheckRatio says what is wrong with a ratio for a family.
func CheckRatio(ratio float64, f *metric.Family) error {
	if ratio == 0 || ratio == 1 {
		return nil
	}
	if !(ratio >= MinRatio && ratio < 1) { // NaN too
		return fmt.Errorf("a ratio is 0 (off), 1 (on) or a share of events from %v, have %v", MinRatio, ratio)
	}
	if why := f.Unsampled(); why != "" {
		return fmt.Errorf("%s cannot be sampled: %s; want 0 (off) or 1 (on), have %v", f.Name, why, ratio)
	}
	return nil
}

// Sampled is what is left of families that a word stands for when a ratio is asked of
// them: of a family's own name the family, of a wider word those that can be sampled;
// the others stay as they are. The error is that of a family when none is left.
func Sampled(word string, families []*metric.Family, ratio float64) ([]*metric.Family, error) {
	var left []*metric.Family
	var fault error
	for _, f := range families {
		if err := CheckRatio(ratio, f); err == nil {
			left = append(left, f)
		} else if fault == nil || f.Is(word) {
			fault = err
		}
	}
	if len(left) > 0 {
		return left, nil
	}
	return nil, fault
}

// contradiction is a family about which two entries disagree, and what a says otherwise.
func contradiction(a, b Entry) (family, what string) {
	for _, w := range b.Wants {
		for _, v := range a.Wants {
			switch {
			case v.Family != w.Family:
			case v.Ratio != w.Ratio:
				return w.Family, "another ratio"
			case !v.Labels.Equal(w.Labels):
				return w.Family, "other labels"
			}
		}
	}
	return "", ""
}

// all is one entry that says what the policy's entries come to.
func (p *ProbePolicy) all() Entry {
	at := map[string]int{}
	var out Entry
	for _, e := range p.Entries {
		for _, w := range e.Wants {
			if i, ok := at[w.Family]; ok {
				out.Wants[i] = w
				continue
			}
			at[w.Family] = len(out.Wants)
			out.Wants = append(out.Wants, w)
		}
	}
	return out
}

// checkOverlap wants one of two policies to be the more specific where they disagree
// about a family of some target.
func (r *reader) checkOverlap(a, b *written) {
	if slices.Compare(a.policy.Selector.rank(), b.policy.Selector.rank()) != 0 || !a.policy.Selector.meet(&b.policy.Selector) {
		return
	}
	if family, _ := contradiction(a.policy.all(), b.policy.all()); family != "" {
		r.fault(b.document, "spec.selector", "overlaps with %s:%d (%s), which is as specific and wants %s otherwise; narrow one of them",
			a.policy.File, a.policy.Line, a.policy.Name, family)
	}
}

// checkPatterns wants a selector's plain names of patterns to be known.
func (r *reader) checkPatterns(w *written, patterns []Pattern) {
	for i, name := range w.policy.Selector.Patterns {
		if slices.ContainsFunc(patterns, func(p Pattern) bool { return glob(name, p.Name) }) {
			continue
		}
		var words []string
		for _, p := range patterns {
			words = append(words, p.Name)
		}
		hint := ""
		if near := Nearest(name, words); near != "" {
			hint = fmt.Sprintf(", did you mean %q?", near)
		}
		r.fault(w.document, fmt.Sprintf("spec.selector.patterns[%d]", i), "no pattern is called %q%s", name, hint)
	}
}

// refer puts the entries of the critical set that a policy refers to before its own, of
// the targets that both select.
func (r *reader) refer(w *written) {
	if w.critical == "" {
		return
	}
	var names []string
	for i := range r.critical {
		c := &r.critical[i]
		names = append(names, c.Name)
		if c.Name != w.critical {
			continue
		}
		var entries []Entry
		for _, e := range c.entries(r.catalogue) {
			if both, some := w.policy.Selector.and(e.Select); some {
				entries = append(entries, Entry{Wants: e.Wants, Line: w.document.Line("spec.criticalSet"), Select: &both})
			}
		}
		if len(entries) == 0 {
			r.fault(w.document, "spec.criticalSet", "no set of %s is of a target that the selector may match", c.Name)
		}
		w.policy.Entries = append(entries, w.policy.Entries...)
		return
	}
	hint := ""
	if near := Nearest(w.critical, names); near != "" {
		hint = fmt.Sprintf(", did you mean %q?", near)
	}
	r.fault(w.document, "spec.criticalSet", "no CriticalMetrics is called %q%s", w.critical, hint)
}

func compareNames(a, b string) int { return strings.Compare(a, b) }
