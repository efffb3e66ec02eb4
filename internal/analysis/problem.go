package analysis

import (
	"fmt"
	"slices"
	"strings"
)

// A problem is a checked recording with what does not depend on the runs that are learnt from.
type problem struct {
	rec      Recording
	opt      Options
	prepared [][]float64
	labels   *labels // nil without an SLO
	notes    []string
	known    bool     // every series that a selection can hold has a cost
	unknown  []string // cost keys without one
}

// blocks is into how many a single run is cut, so that something can be held out.
const blocks = 4

func newProblem(r Recording, o Options) (*problem, error) {
	r, err := r.check()
	if err != nil {
		return nil, err
	}
	if o, err = o.check(r); err != nil {
		return nil, err
	}
	p := &problem{rec: r, opt: o, known: true}
	counters := 0
	p.prepared = make([][]float64, len(r.Series))
	for i, s := range r.Series {
		counter := false
		if p.prepared[i], counter = prepare(s, r.Runs); counter {
			counters++
		}
	}
	if counters > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%d series never fall within a run: they were taken as counters and differenced.", counters))
	}
	if r.SLO == nil {
		return p, nil
	}
	if len(r.Runs) == 1 {
		p.cut()
	}
	l, err := makeLabels(p.rec, o.Task, p.rec.Runs)
	p.labels = &l
	return p, err
}

// settleCosts finds what has no cost among the series that are learnt from in any turn.
func (p *problem) settleCosts(turns [][]int) {
	for i, s := range p.rec.Series {
		if _, ok := p.opt.Costs[s.cost()]; ok || slices.Contains(p.unknown, s.cost()) {
			continue
		}
		if slices.ContainsFunc(turns, func(runs []int) bool { return p.passes(i, runs) }) {
			p.known, p.unknown = false, append(p.unknown, s.cost())
		}
	}
	slices.Sort(p.unknown)
	if !p.known {
		p.notes = append(p.notes, fmt.Sprintf("%d things to switch on have no known cost (%s): each counts as 1, and a cost is how many there are.",
			len(p.unknown), clipped(p.unknown, 3)))
	}
}

// passes tells whether the filter lets a series through on some runs, were it not a duplicate.
func (p *problem) passes(series int, runs []int) bool {
	var x []float64
	for _, run := range p.sections(runs) {
		x = append(x, p.prepared[series][run.From:run.To]...)
	}
	reason, _ := fault(p.rec.Series[series], x, p.sections(runs))
	return reason == ""
}

func (p *problem) sections(runs []int) (out []Section) {
	for _, r := range runs {
		out = append(out, p.rec.Runs[r])
	}
	return out
}

// clipped lists the first few names.
func clipped(names []string, most int) string {
	if len(names) > most {
		names = append(slices.Clone(names[:most]), "...")
	}
	return strings.Join(names, ", ")
}

// cut makes runs out of blocks of the only one.
func (p *problem) cut() {
	run := p.rec.Runs[0]
	n := run.To - run.From
	p.rec.Runs = nil
	for b := range blocks {
		p.rec.Runs = append(p.rec.Runs, Section{
			Name: fmt.Sprintf("%s %d/%d", run.Name, b+1, blocks), Workload: run.Workload, From: run.From + b*n/blocks, To: run.From + (b+1)*n/blocks})
	}
	p.notes = append(p.notes, "There is one run only: its quarters are held out in turn, which is weaker evidence than separate runs.")
}

// price is what a series costs alone; in a selection, series that are paid as one count once.
func (p *problem) price(series int) float64 {
	if !p.known {
		return 1
	}
	return p.opt.Costs[p.rec.Series[series].cost()]
}

func (p *problem) cost(series []int) (total float64) {
	paid := map[payment]bool{}
	for _, i := range series {
		if key := p.rec.Series[i].payment(); !paid[key] {
			paid[key] = true
			total += p.price(i)
		}
	}
	return total
}
