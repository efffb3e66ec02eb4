package analysis

import (
	"fmt"
	"math"
)

// labels say, for each row of the recording, whether the task's trouble is ahead.
type labels struct {
	usable, positive []bool
}

// makeLabels applies the task to the SLO. Rows that cannot be judged are not usable: the first 30 s of a run, the last
// ones whose future is not in it, and, for the tasks that warn, those at which the violation is already there.
func makeLabels(r Recording, t Task, runs []Section) (labels, error) {
	n := len(r.SLO)
	l := labels{make([]bool, n), make([]bool, n)}
	ahead, _ := t.horizon()
	rows := int(math.Round(ahead / r.Step))
	if ahead > 0 {
		rows = max(rows, 1)
	}
	explained, err := explainedByLoad(r, t, runs)
	if err != nil {
		return l, err
	}
	skip := int(math.Round(purge / r.Step))
	for _, run := range runs {
		next := -1 // the nearest violated row from here on
		for i := run.To - 1; i >= run.From; i-- {
			if ahead == 0 || t == Placement {
				if r.SLO[i] {
					next = i
				}
			}
			within := next >= 0 && next-i <= rows
			known := within || i+rows < run.To
			now := r.SLO[i] && (t == Autoscaling || t == Overload)
			l.usable[i] = known && !now && i-run.From >= min(skip, (run.To-run.From)/4)
			l.positive[i] = within && (explained == nil || !explained[i])
			if r.SLO[i] {
				next = i
			}
		}
	}
	return l, nil
}

// explainedByLoad marks, for placement, the rows at which requests come faster than they do in 95 % of the rows
// without a violation. It is nil for other tasks.
func explainedByLoad(r Recording, t Task, runs []Section) ([]bool, error) {
	if t != Placement {
		return nil, nil
	}
	rate := make([]float64, len(r.SLO))
	found := false
	for _, s := range r.Series {
		if !requestRate.has(s) {
			continue
		}
		found = true
		x, _ := prepare(s, runs)
		for i, v := range x {
			if !math.IsNaN(v) {
				rate[i] += v
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("task placement needs the request rate, to tell load from neighbours: no series of a family like %v", requestRate)
	}
	var calm []float64
	for i, v := range rate {
		if !r.SLO[i] {
			calm = append(calm, v)
		}
	}
	limit := quantile(calm, 0.95)
	out := make([]bool, len(rate))
	for i, v := range rate {
		out[i] = v > limit
	}
	return out, nil
}
