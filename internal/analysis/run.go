package analysis

import (
	"cmp"
	"fmt"
	"slices"
)

// Run selects the critical series of a recording by one algorithm and judges the selection on runs held out: those
// named, or, if none is, each workload (or run) in turn. The selection in Result is learnt from all runs that are not
// named. Errors say which series, run or option is at fault and wrap this package's where one fits: ErrNoSLO for
// algorithms that learn from the SLO, ErrOneClass if trouble is everywhere or nowhere.
func Run(r Recording, o Options) (Result, error) {
	out, errs := Compare(r, o, o.Algorithm)
	return out[0], errs[0]
}

// Compare is Run for several algorithms side by side ("" is kshape; none is every algorithm), which share what they
// have in common. Results and errors are in the order of the names; a result is valid where its error is nil.
func Compare(r Recording, o Options, algorithms ...string) ([]Result, []error) {
	if len(algorithms) == 0 {
		for _, a := range Algorithms() {
			algorithms = append(algorithms, a.Name)
		}
	}
	results, errs := make([]Result, len(algorithms)), make([]error, len(algorithms))
	p, turns, err := plan(r, o)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return results, errs
	}
	final := newStudy(p, turns.learn, "")
	for i, name := range algorithms {
		results[i], errs[i] = p.judge(cmp.Or(name, "kshape"), final)
		final.progress("algorithms", i+1, len(algorithms))
	}
	// One turn after the other: a study of thousands of series is a hundred megabytes.
	forecasts := make([]forecast, len(algorithms))
	for n, held := range turns.folds {
		s := final // of runs that are held out by name, nothing was learnt
		if rest := without(turns.learn, held); len(rest) < len(turns.learn) {
			s = newStudy(p, rest, fmt.Sprintf(", turn %d of %d", n+1, len(turns.folds)))
		}
		for i := range algorithms {
			if errs[i] == nil {
				s.score(&results[i], &forecasts[i], held)
			}
			s.progress("algorithms", i+1, len(algorithms))
		}
	}
	for i := range results {
		if len(results[i].Folds) > 0 {
			sc := forecasts[i].score()
			results[i].Score = &sc
		}
	}
	return results, errs
}

// A schedule says which runs are learnt from in the end, and which are held out in turn.
type schedule struct {
	learn []int
	folds [][]int
}

func plan(r Recording, o Options) (*problem, schedule, error) {
	p, err := newProblem(r, o)
	if err != nil {
		return nil, schedule{}, err
	}
	var s schedule
	var held []int
	for i, run := range p.rec.Runs {
		if slices.Contains(o.HoldOut, run.Name) {
			held = append(held, i)
		} else {
			s.learn = append(s.learn, i)
		}
	}
	if len(s.learn) == 0 {
		return nil, s, fmt.Errorf("every run is held out: leave one to learn from")
	}
	switch {
	case p.labels == nil:
	case held != nil:
		s.folds = [][]int{held}
	default:
		s.folds = turnsOf(p.rec.Runs, s.learn, p.opt.Folds)
	}
	turns := [][]int{s.learn}
	for _, held := range s.folds {
		turns = append(turns, without(s.learn, held))
	}
	p.settleCosts(turns)
	return p, s, nil
}

// without leaves runs out; those held out by name are not among the runs to learn from in the first place.
func without(runs, held []int) (out []int) {
	for _, r := range runs {
		if !slices.Contains(held, r) {
			out = append(out, r)
		}
	}
	return out
}

// noneLeft says why the filter threw out everything, and shows one series.
func noneLeft(dropped []Drop) error {
	gaps := 0
	for _, d := range dropped {
		if d.Reason == "gaps" {
			gaps++
		}
	}
	return fmt.Errorf("%w is left of %d: %d have gaps, which a longer step may close, and %d are constant. %s: %s",
		ErrNoSeries, len(dropped), gaps, len(dropped)-gaps, dropped[0].Name, dropped[0].Detail)
}

// judge runs one algorithm on the final study.
func (p *problem) judge(name string, final *study) (Result, error) {
	a, err := findAlgorithm(name)
	if err != nil {
		return Result{}, err
	}
	if a.NeedsSLO && p.labels == nil {
		return Result{}, fmt.Errorf("%w: %s learns from violations; give a column slo or an expression", ErrNoSLO, name)
	}
	if len(final.kept) == 0 {
		return Result{}, noneLeft(final.dropped)
	}
	if a.NeedsSLO {
		if _, err := indicator(outcome(final.rows)); err != nil {
			violated := 0
			for _, v := range p.rec.SLO {
				if v {
					violated++
				}
			}
			return Result{}, fmt.Errorf("%s, task %s: %w; the SLO is violated in %d of %d rows: record runs with and without violations", name, p.opt.Task, err, violated, len(p.rec.SLO))
		}
	}
	if a.NeedsSLO && len(final.turns) < 2 {
		return Result{}, fmt.Errorf("%s needs two runs to learn from: one to check what the other says: hold out fewer", name)
	}
	sel, err := final.pick(a)
	if err != nil {
		return Result{}, err
	}
	return p.result(name, final, sel), nil
}

func (p *problem) result(name string, s *study, sel selection) Result {
	out := Result{Algorithm: name, Task: p.opt.Task, Containers: sel.shapes, Dropped: s.dropped, Edges: sel.edges,
		Cost: p.cost(sel.series), CostKnown: p.known, Unknown: p.unknown, Notes: append(slices.Clone(p.notes), sel.notes...)}
	out.Summaries = summarise(p.rec, sel.shapes)
	if sel.guiding >= 0 {
		out.Guiding = p.rec.Series[sel.guiding].Name
	}
	for _, i := range sel.series {
		c := s.critical(i, sel.why[i])
		c.Why += c.because()
		c.Stability = sel.stability[i]
		out.Critical = append(out.Critical, c)
	}
	for _, t := range sel.trials {
		out.Front = append(out.Front, s.point(t, slices.Equal(t.series, sel.chosen.series)))
	}
	return out
}

func (s *study) point(t trial, chosen bool) Point {
	pt := Point{Series: t.series, Cost: t.cost, AP: t.mean, Chosen: chosen}
	pt.Error = stderr(t.ap)
	if m, err := s.fit(t.positions); err == nil {
		pt.Lead = s.forecast(m, s.train).events.Lead(0.5)
	}
	return pt
}

// score selects again on the runs of the study, and predicts those held out.
func (s *study) score(out *Result, all *forecast, held []int) {
	a, err := findAlgorithm(out.Algorithm)
	if err == nil {
		_, err = indicator(outcome(s.rows))
	}
	if err != nil || len(s.kept) == 0 || a.NeedsSLO && len(s.turns) < 2 {
		out.Notes = append(out.Notes, "Not judged on "+s.names(held)+": the other runs have violations everywhere or nowhere, or are too few.")
		return
	}
	f, series, err := s.foldForecast(a, held)
	if err != nil {
		out.Notes = append(out.Notes, "Not judged on "+s.names(held)+": "+err.Error()+".")
		return
	}
	fold := Fold{Series: series, Score: f.score()}
	for _, r := range held {
		fold.Held = append(fold.Held, s.rec.Runs[r].Name)
	}
	out.Folds = append(out.Folds, fold)
	all.probability, all.label = append(all.probability, f.probability...), append(all.label, f.label...)
	all.events.add(f.events)
}

func (s *study) foldForecast(a Algorithm, held []int) (forecast, []int, error) {
	sel, err := s.pick(a)
	if err != nil {
		return forecast{}, nil, err
	}
	var positions []int
	for _, i := range sel.series {
		positions = append(positions, s.position(i))
	}
	m, err := s.fit(positions)
	if err != nil {
		return forecast{}, nil, err
	}
	return s.forecast(m, held), sel.series, nil
}

func (p *problem) names(runs []int) string {
	text := ""
	for i, r := range runs {
		if i > 0 {
			text += ", "
		}
		text += p.rec.Runs[r].Name
	}
	return text
}
