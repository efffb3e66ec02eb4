package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Labels says which series a family with labels is told in: one for each value of the
// labels in it, and one for all values of the others. Where a label has globs, values that
// none of them matches are one series, too, Other. nil is all series that the family has.
type Labels map[string][]string

// Other is the value that stands for all values of a label that are not told apart.
const Other = "other"

// maxGlobs bounds the values of a label in Labels: each is compared with in each window.
const maxGlobs = 64

// noLabels is what people write for one series.
const noLabels = "none"

// Series is the label values under which a series of f is told; "" is that of a label over
// which is summed.
func (l Labels) Series(f *metric.Family, values [2]string) [2]string {
	if l == nil {
		return values
	}
	for i := range f.Labels {
		globs, kept := l[f.Labels[i].Name]
		switch {
		case !kept:
			values[i] = ""
		case !anyGlob(globs, values[i]):
			values[i] = Other
		}
	}
	return values
}

// Of is what l says about family f, nil when that is nothing: f has no labels, or none
// that l names.
func (l Labels) Of(f *metric.Family) Labels {
	if l == nil || len(f.Labels) == 0 {
		return nil
	}
	own := Labels{}
	for i := range f.Labels {
		if globs, ok := l[f.Labels[i].Name]; ok {
			own[f.Labels[i].Name] = globs
		}
	}
	if len(own) == 0 && len(l) > 0 {
		return nil
	}
	return own
}

// sorted is l with its values in order, so that the same is equal.
func (l Labels) sorted() Labels {
	out := Labels{}
	for name, globs := range l {
		out[name] = slices.Clone(globs)
		slices.Sort(out[name])
	}
	return out
}

// Equal reports whether both say the same.
func (l Labels) Equal(o Labels) bool {
	return (l == nil) == (o == nil) && maps.EqualFunc(l, o, func(a, b []string) bool { return slices.Equal(a, b) })
}

// String is l as ParseLabels reads it: "class:file,class:net,direction"; "" when it is nil.
func (l Labels) String() string {
	if l == nil {
		return ""
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if len(l[name]) == 0 {
			words = append(words, name)
		}
		for _, g := range l[name] {
			words = append(words, name+":"+g)
		}
	}
	if len(words) == 0 {
		return noLabels
	}
	return strings.Join(words, ",")
}

// ParseLabels reads what a person writes in a command: labels joined by commas, each alone
// for all its values, or with one value behind a colon, once for each; none for one series.
func ParseLabels(text string) (Labels, error) {
	l := Labels{}
	if text == noLabels {
		return l, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		name, value, some := strings.Cut(word, ":")
		before, again := l[name]
		if name == "" || some && value == "" || again && (!some || len(before) == 0) {
			return nil, fmt.Errorf("labels %q: want label, or label:value once for each value, joined by commas, or none, have %q", text, word)
		}
		l[name] = nil
		if some {
			l[name] = append(before, value)
		}
	}
	return l, nil
}

// A labelFault is what is wrong with Labels, and where: "", a label, or a label and the
// number of a value, as a key of a document.
type labelFault struct{ at, what string }

func (f *labelFault) Error() string { return f.what }

// CheckLabels says what is wrong with Labels for a family: the first fault, by label.
func CheckLabels(l Labels, f *metric.Family) error {
	if l == nil {
		return nil
	}
	if why := f.Unsummed(); why != "" {
		return &labelFault{"", fmt.Sprintf("%s %s; remove labels", f.Name, why)}
	}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		i := slices.IndexFunc(f.Labels, func(o metric.Label) bool { return o.Name == name })
		if i < 0 {
			return &labelFault{"." + name, unknownLabel(name, f.Name+" has no", labelNames(f))}
		}
		if err := checkValues(l[name], &f.Labels[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkValues(globs []string, label *metric.Label) error {
	at := func(i int) string { return fmt.Sprintf(".%s[%d]", label.Name, i) }
	switch {
	case globs != nil && len(globs) == 0:
		return &labelFault{"." + label.Name, fmt.Sprintf("no value of %s: leave it out to sum over it, or write ['*'] for all", label.Name)}
	case len(globs) > maxGlobs:
		return &labelFault{"." + label.Name, fmt.Sprintf("%d values, at most %d are told apart; use globs", len(globs), maxGlobs)}
	}
	for i, g := range globs {
		if err := CheckGlob(g); err != nil {
			return &labelFault{at(i), err.Error()}
		}
		switch {
		case g == Other:
			return &labelFault{at(i), fmt.Sprintf("%q is what all values are summed into that are not listed; leave it out", Other)}
		case len(label.Values) > 0 && !slices.ContainsFunc(label.Values, func(v string) bool { return glob(g, v) }):
			what := fmt.Sprintf("%s is never %q", label.Name, g)
			if near := Nearest(g, label.Values); near != "" {
				what += fmt.Sprintf(", did you mean %q?", near)
			} else {
				what += "; it is one of " + strings.Join(label.Values, ", ")
			}
			return &labelFault{at(i), what}
		}
	}
	return nil
}

// unknownLabel is the fault of a label that is none of those that who has.
func unknownLabel(name, who string, labels []string) string {
	if near := Nearest(name, labels); near != "" {
		return fmt.Sprintf("%s label %q, did you mean %q?", who, name, near)
	}
	return fmt.Sprintf("%s label %q; want %s", who, name, strings.Join(labels, " or "))
}

func labelNames(f *metric.Family) []string {
	var names []string
	for i := range f.Labels {
		names = append(names, f.Labels[i].Name)
	}
	return names
}

// Labelled is wants, which a word stands for, told in the series that l says. Of a family's
// own name l must be right for the family; of a wider word it holds for those that it is
// right for, and the others stay as they are. Families that are off have no series.
func Labelled(word string, wants []Want, l Labels, catalogue []*metric.Family) ([]Want, error) {
	if l == nil {
		return wants, nil
	}
	out, wide := slices.Clone(wants), breadth(word, catalogue) > 0
	var fault error
	on, took, told, names := false, false, map[string]bool{}, map[string]bool{}
	for i := range out {
		if out[i].Ratio <= 0 {
			continue
		}
		f := catalogue[slices.IndexFunc(catalogue, func(f *metric.Family) bool { return f.Name == out[i].Family })]
		own := l
		if wide {
			own = l.Of(f)
		}
		on = true
		for _, name := range labelNames(f) {
			names[name] = true
		}
		if err := CheckLabels(own, f); err != nil {
			fault = cmp.Or(fault, err)
			continue
		}
		if own != nil {
			out[i].Labels, took = own.sorted(), true
		}
		for name := range own {
			told[name] = true
		}
	}
	switch {
	case !on:
		return nil, &labelFault{"", fmt.Sprintf("%s is off and has no series; remove labels", word)}
	case !took && fault != nil:
		return nil, fault
	case len(names) == 0:
		return nil, &labelFault{"", fmt.Sprintf("no family of %s has labels; remove labels", word)}
	}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if !told[name] {
			return nil, &labelFault{"." + name, unknownLabel(name, "no family of "+word+" has a", slices.Sorted(maps.Keys(names)))}
		}
	}
	return out, nil
}
