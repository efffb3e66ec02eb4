package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// ranked orders positions by a score, the best first, and keeps most.
func ranked(positions []int, score []float64, most int) []int {
	out := slices.Clone(positions)
	sortBy(out, func(k int) float64 { return -score[k] })
	return out[:min(most, len(out))]
}

func (s *study) positions() []int {
	all := make([]int, len(s.kept))
	for k := range all {
		all[k] = k
	}
	return all
}

// levels are the scaled levels of all kept series at the search rows.
func (s *study) levels() [][]float64 {
	out := make([][]float64, len(s.kept))
	for k, c := range s.memo() {
		out[k] = c[0]
	}
	return out
}

func (s *study) series(positions []int) []int { return at(s.kept, positions) }

func pickCorrelation(s *study) (selection, error) {
	y := outcome(s.rows)
	rho := make([]float64, len(s.kept))
	for k, x := range s.levels() {
		v, err := relation(x, y)
		if err != nil && !errors.Is(err, ErrConstant) { // a level may stand still in the rows that can be learnt from
			return selection{}, err
		}
		rho[k] = math.Abs(v)
	}
	best := ranked(s.positions(), rho, s.opt.Count)
	return selected(s.series(best), func(i int) string {
		return fmt.Sprintf("Its rank correlation with coming trouble is %.2f.", rho[s.position(i)])
	}), nil
}

func pickMRMR(s *study) (selection, error) {
	best, err := MRMR(s.levels(), outcome(s.rows), s.opt.Count)
	if err != nil {
		return selection{}, err
	}
	order := map[int]int{}
	for n, i := range s.series(best) {
		order[i] = n + 1
	}
	return selected(s.series(best), func(i int) string {
		return fmt.Sprintf("It tells most about coming trouble that those before it do not (choice %d).", order[i])
	}), nil
}

// screen scores every series alone by cross-validation, once a study.
func (s *study) screen() []float64 {
	if s.alone == nil {
		sets := make([][]int, len(s.kept))
		for k := range sets {
			sets[k] = []int{k}
		}
		s.alone = make([]float64, len(sets))
		for k, t := range s.tryAll(sets, s.memo()) {
			s.alone[k] = t.mean
		}
	}
	return s.alone
}

func pickExhaustive(s *study) (selection, error) {
	m := s.memo()
	candidates := ranked(s.positions(), s.screen(), s.opt.Candidates)
	slices.Sort(candidates)
	trials := s.tryAll(subsets(candidates, 3), m)
	best := bestOf(trials)
	out := selected(best.series, func(int) string {
		return fmt.Sprintf("It is in the set of up to three that predicts best, with average precision %.2f in cross-validation.", best.mean)
	})
	out.trials, out.chosen = front(trials), best
	if len(candidates) < len(s.kept) {
		out.notes = append(out.notes, fmt.Sprintf("All sets of up to three of the %d series that predict best alone were tried, not of all %d.", len(candidates), len(s.kept)))
	}
	return out, nil
}

// pickSupervised is ours. k-Shape only tells which series say the same: of each cluster one stays, the best predictor
// alone less a little for its cost. Among those it tries all sets of up to three and goes greedily beyond, with gain
// against cost to the power 0, ½ and 1, takes the cheapest that is not worse than the best, and of that what resampled
// sets of runs choose too or that it cannot do without.
func pickSupervised(s *study) (selection, error) {
	shapes, err := s.shapes()
	if err != nil {
		return selection{}, err
	}
	m := s.memo()
	candidates := s.candidates(shapes, s.screen())
	trials := s.tryAll(subsets(candidates, 3), m)
	for _, exponent := range []float64{0, 0.5, 1} {
		trials = append(trials, s.greedy(candidates, exponent, m)...)
	}
	trials = slices.DeleteFunc(trials, s.overBudget)
	if len(trials) == 0 {
		return selection{}, fmt.Errorf("every series costs more than the budget of %g: raise it", s.opt.Budget)
	}
	best := choose(trials, s.grain())
	stable := s.stability(candidates, best, m)
	if stable != nil {
		best = s.dropUnstable(best, stable, m)
		trials = append(trials, best)
	}
	out := selected(best.series, func(i int) string {
		why := fmt.Sprintf("It is in the cheapest set (cost %.3g, average precision %.2f) that predicts as well as the best.", best.cost, best.mean)
		if v, ok := stable[i]; ok {
			why += fmt.Sprintf(" %.0f %% of resampled sets of runs choose it.", 100*v)
		}
		return why
	})
	out.shapes, out.trials, out.chosen, out.stability = shapes, front(trials), best, stable
	return out, nil
}

// grain is a cost that nobody minds: a thousandth of what everything costs.
func (s *study) grain() float64 { return s.cost(s.kept) / 1000 }

// often is how many of the resamples must choose a series for it to stay without question.
const often = 0.7

// dropUnstable leaves out, the least stable first, what resamples seldom choose, as long as the set predicts nearly as
// well without: the rest of a set is what these runs happened to have.
func (s *study) dropUnstable(best trial, stable map[int]float64, m memo) trial {
	out := best
	order := slices.Clone(best.positions)
	sortBy(order, func(k int) float64 { return stable[s.kept[k]] })
	for _, k := range order {
		if stable[s.kept[k]] >= often || len(out.positions) == 1 {
			break
		}
		less := s.tryOut(slices.DeleteFunc(slices.Clone(out.positions), func(o int) bool { return o == k }), m)
		if best.mean-less.mean <= mostLoss*best.mean {
			out = less
		}
	}
	return out
}

// candidates are the best predictor of each cluster, at most Options.Candidates.
func (s *study) candidates(shapes []Shapes, alone []float64) []int {
	dearest := 0.0
	for _, i := range s.kept {
		dearest = max(dearest, s.price(i))
	}
	value := make([]float64, len(alone))
	for k, v := range alone {
		value[k] = v - costWeight*v*s.price(s.kept[k])/max(dearest, 1e-300)
	}
	var out []int
	for _, sh := range shapes {
		for _, c := range sh.Clusters {
			best := -1
			for _, i := range c.Members {
				if k := s.position(i); best < 0 || value[k] > value[best] {
					best = k
				}
			}
			out = append(out, best)
		}
	}
	out = ranked(out, alone, s.opt.Candidates)
	slices.Sort(out)
	return out
}

// stability chooses again, among sets of up to as many series, on bootstrap samples of the turns: whole runs, as rows
// depend on each other. It gives the share of samples that choose each series of the set.
func (s *study) stability(candidates []int, best trial, m memo) map[int]float64 {
	if s.opt.Bootstraps < 0 || len(s.turns) < 2 {
		return nil
	}
	trials := s.tryAll(subsets(candidates, min(3, len(best.positions))), m)
	r := rand.New(rand.NewPCG(s.opt.Seed, 1))
	count := map[int]float64{}
	for range s.opt.Bootstraps {
		sample := make([]trial, len(trials))
		turn := make([]int, len(s.turns))
		for i := range turn {
			turn[i] = r.IntN(len(turn))
		}
		for n, t := range trials {
			t.ap = at(t.ap, turn)
			t.mean = meanOf(t.ap)
			sample[n] = t
		}
		for _, i := range choose(sample, s.grain()).series {
			count[i] += 1 / float64(s.opt.Bootstraps)
		}
	}
	out := map[int]float64{}
	for _, i := range best.series {
		out[i] = count[i]
	}
	return out
}

// meanOf leaves NaN out.
func meanOf(x []float64) float64 {
	x = slices.DeleteFunc(slices.Clone(x), math.IsNaN)
	return sum(x) / float64(cmp.Or(len(x), 1))
}
