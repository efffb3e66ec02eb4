package analysis

import "slices"

// A study is one turn: what may be learnt from some runs of a recording. Its caches make algorithms side by side cost
// what their difference costs.
type study struct {
	*problem
	train []int // runs
	learnable
	features []feature // by position in kept, nil without an SLO
	rows     []row     // usable, of the runs to learn from
	turns    []turn    // for cross-validation

	label string // of the turn, for whoever watches

	// What algorithms have in common, made by the first that needs it.
	clusters []Shapes
	scaled   memo
	alone    []float64
	picked   map[string]selection
}

// searchRows bounds the rows that searches fit models on. Neighbours in time say nearly the same.
const searchRows = 1500

func newStudy(p *problem, train []int, label string) *study {
	s := &study{problem: p, train: train, label: label, picked: map[string]selection{}}
	s.learnable = filter(p.rec, p.prepared, s.sections(train), p.price)
	if s.labels == nil {
		return s
	}
	s.features = make([]feature, len(s.kept))
	parallel(cores(p.opt.Workers), len(s.kept), func(_, k int) {
		s.features[k] = makeFeature(s.prepared[s.kept[k]], s.rec.Step, s.opt.Task, s.rec.Runs, s.sections(train))
	})
	all := s.usable(train)
	stride := (len(all) + searchRows - 1) / searchRows
	for i := 0; i < len(all); i += max(1, stride) {
		s.rows = append(s.rows, all[i])
	}
	for _, held := range turnsOf(s.rec.Runs, train, max(s.opt.Folds, 5)) {
		s.turns = append(s.turns, s.turn(held))
	}
	return s
}

func (s *study) progress(stage string, done, total int) {
	s.opt.progress(stage+s.label, done, total)
}

// pick runs an algorithm, once a study.
func (s *study) pick(a Algorithm) (selection, error) {
	if sel, ok := s.picked[a.Name]; ok {
		return sel, nil
	}
	sel, err := a.pick(s)
	if err == nil {
		s.picked[a.Name] = sel
	}
	return sel, err
}

// A turn holds some rows out of a study's; numbers are positions in its rows.
type turn struct {
	rest, held   []int
	yRest, yHeld []bool
}

func (s *study) turn(runs []int) (t turn) {
	for i, r := range s.rows {
		if slices.Contains(runs, r.run) {
			t.held, t.yHeld = append(t.held, i), append(t.yHeld, r.label)
		} else {
			t.rest, t.yRest = append(t.rest, i), append(t.yRest, r.label)
		}
	}
	return t
}

// usable are the rows of some runs that have a label.
func (s *study) usable(runs []int) (out []row) {
	for _, r := range s.every(runs) {
		if s.labels.usable[r.at] {
			out = append(out, r)
		}
	}
	return out
}

func (s *study) every(runs []int) (out []row) {
	for _, n := range runs {
		run := s.rec.Runs[n]
		for i := run.From; i < run.To; i++ {
			out = append(out, row{at: i, start: run.From, run: n, label: s.labels.positive[i]})
		}
	}
	return out
}

// columns gathers the features of series, by position in kept.
func (s *study) columns(positions []int, rows []row) [][]float64 {
	var out [][]float64
	for _, k := range positions {
		c := s.features[k].columns(rows, s.rec.Step)
		out = append(out, c[0], c[1])
	}
	return out
}

func outcome(rows []row) []bool {
	y := make([]bool, len(rows))
	for i, r := range rows {
		y[i] = r.label
	}
	return y
}

// position finds a series of the recording among those that passed the filter, or -1.
func (s *study) position(series int) int {
	k, ok := slices.BinarySearch(s.kept, series)
	if !ok {
		return -1
	}
	return k
}

// turnsOf deals runs into groups that are held out together: a workload each if there are several, else a run each, at
// most most groups.
func turnsOf(all []Section, runs []int, most int) [][]int {
	var keys []string
	of := map[string][]int{}
	group := func(key func(Section) string) {
		keys, of = nil, map[string][]int{}
		for _, r := range runs {
			k := key(all[r])
			if of[k] == nil {
				keys = append(keys, k)
			}
			of[k] = append(of[k], r)
		}
	}
	if group(func(s Section) string { return s.Workload }); len(keys) < 2 {
		group(func(s Section) string { return s.Name })
	}
	if len(keys) < 2 {
		return nil
	}
	out := make([][]int, min(most, len(keys)))
	if len(out) < 2 {
		out = make([][]int, 2)
	}
	for i, k := range keys {
		out[i%len(out)] = append(out[i%len(out)], of[k]...)
	}
	return out
}
