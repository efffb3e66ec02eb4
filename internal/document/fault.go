package document

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxFaults bounds how many faults of one file are kept; the rest are counted.
const maxFaults = 50

// A Fault is one thing wrong with a document.
type Fault struct {
	File string
	Line int    // 1 is the first; 0 when the whole file is at fault
	Key  string // "rules[0].families[2]"; "" when it is about no key
	What string // what is wrong, and what to do
}

// Error is "file:line:key: what", without the parts that are unknown.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Key != "" {
		b.WriteString(":" + f.Key)
	}
	return b.String() + ": " + f.What
}

type faults struct {
	kept    []*Fault
	dropped int
}

func (d *decoder) add(line int, key, what string) {
	if len(d.faults.kept) == maxFaults {
		d.faults.dropped++
		return
	}
	d.faults.kept = append(d.faults.kept, &Fault{d.File, line, key, what})
}

func (f *faults) join() error {
	slices.SortStableFunc(f.kept, func(a, b *Fault) int { return cmp.Compare(a.Line, b.Line) })
	var all []error
	for _, fault := range f.kept {
		all = append(all, fault)
	}
	if f.dropped > 0 {
		all = append(all, fmt.Errorf("and %d more faults", f.dropped))
	}
	return errors.Join(all...)
}
