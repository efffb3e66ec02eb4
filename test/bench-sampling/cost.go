package main

import (
	"errors"
	"fmt"
	"slices"

	"viperprobe.dev/viperprobe/test/rig"
)

// A question is a family, and a load of what it counts.
type question struct {
	family, role, load string
	beside             []string // families of the same hook that are wanted whole
}

// questions are those of the families asked about; shared are those with families beside,
// too.
func (b *bench) questions(shared bool) []question {
	all := []question{
		{"runq_latency", "ping", "two processes that hand a byte to each other on one CPU", nil},
		{"syscalls", "call", "a loop of getppid", nil},
		{"user_faults", "touch", "a loop over fresh memory", nil},
		{"page_cache_lookups", "read", "a loop of pread of cached pages", nil},
		{"runq_latency", "ping", "the same, oncpu_slice wanted whole (shared)", []string{timeslices}},
	}
	return slices.DeleteFunc(all, func(q question) bool {
		return len(q.beside) > 0 && !shared || len(b.families) > 0 && !slices.Contains(b.families, q.family)
	})
}

// A line is what a family cost in each mode.
type line struct {
	question
	handler map[mode][]float64 // ns a hit, over an empty program
	cpu     map[mode][]float64 // ns of CPU time a unit of the load, its start included
	p50     map[mode][]float64 // ns of wall time a unit
}

// cost measures, for each family alone on its hook and for one that shares it, what
// its programs take, and what the load feels of it.
func (b *bench) cost() error {
	for _, q := range b.questions(true) {
		l := line{q, map[mode][]float64{}, map[mode][]float64{}, map[mode][]float64{}}
		all := append(b.modes(), never)
		for round := range b.rounds {
			for i := range all {
				m := all[(i+round)%len(all)]
				if len(q.beside) > 0 && m.kind == "1 in n" {
					continue
				}
				if err := b.measure(&l, m); err != nil {
					return fmt.Errorf("%s, %s %v: %w", q.family, m.kind, m.ratio, err)
				}
			}
		}
		b.lines = append(b.lines, l)
		b.printCost(&l)
	}
	return nil
}

func (b *bench) measure(l *line, m mode) error {
	if err := b.subject.apply(m, []string{l.family}, l.beside...); err != nil {
		return err
	}
	before, err := b.subject.group.CPU()
	if err != nil {
		return err
	}
	r, err := start(b.subject.group, l.role, b.limit, 0)
	if err != nil {
		return err
	}
	after, err := b.subject.group.CPU()
	if err != nil {
		return err
	}
	l.cpu[m], l.p50[m] = append(l.cpu[m], (after-before)*1e9/float64(r.Ops)), append(l.p50[m], r.P50)
	if m == nobody {
		return nil
	}
	ns, err := b.subject.handler(l.question, m, b.limit)
	l.handler[m] = append(l.handler[m], ns)
	return err
}

func (b *bench) printCost(l *line) {
	fmt.Printf("\n## %s: %s\n\n| looked at | handler, ns over an empty program | gone | load: p50 of a unit, ns | added | CPU a unit, ns | added |\n|---|--:|--:|--:|--:|--:|--:|\n", l.family, l.load)
	whole, p50, cpu := rig.Median(l.handler[mode{"windows", 1}]), rig.Median(l.p50[nobody]), rig.Median(l.cpu[nobody])
	fmt.Printf("| nothing attached | 0 | 100 %% | %.0f | | %.0f | |\n", p50, cpu)
	for _, m := range append(b.modes(), never) {
		if m == nobody || len(l.p50[m]) == 0 {
			continue
		}
		ns := rig.Median(l.handler[m])
		fmt.Printf("| %s | %.1f | %.0f %% | %.0f | %+.0f | %.0f | %+.0f |\n", m, ns, 100*(1-ns/whole), rig.Median(l.p50[m]), rig.Median(l.p50[m])-p50, rig.Median(l.cpu[m]), rig.Median(l.cpu[m])-cpu)
	}
}

var errTools = errors.New("redis-server and redis-benchmark are needed: run make tools")
