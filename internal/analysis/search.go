package analysis

import (
	"cmp"
	"math"
	"slices"
)

// penalty is the L2 penalty of every model here: with scaled features, weights of about 1 are what a handful of
// episodes can support.
const penalty = 1.0

// rough is the precision of models that are only compared with each other.
const rough = 1e-3

// A trial is a set of series and how well it predicts in cross-validation.
type trial struct {
	positions []int
	series    []int
	ap        []float64 // average precision of each turn, NaN where it has one class
	mean      float64   // average precision of all turns together
	cost      float64
}

// tryOut cross-validates a set of series on the runs to learn from: each turn is predicted by a model of the others.
func (s *study) tryOut(positions []int, m memo) trial {
	t := trial{positions: positions, series: s.series(positions)}
	t.cost = s.cost(t.series)
	var together []float64
	var y []bool
	for _, turn := range s.turns {
		var rest, held [][]float64
		for _, k := range positions {
			for _, c := range m[k] {
				rest, held = append(rest, at(c, turn.rest)), append(held, at(c, turn.held))
			}
		}
		ap := math.NaN()
		if model, err := fitLogistic(rest, turn.yRest, penalty, rough); err == nil {
			score := model.Predict(held)
			together, y = append(together, score...), append(y, turn.yHeld...)
			if v, err := AveragePrecision(score, turn.yHeld); err == nil {
				ap = v
			}
		}
		t.ap = append(t.ap, ap)
	}
	if v, err := AveragePrecision(together, y); err == nil {
		t.mean = v
	}
	return t
}

func at[T any](x []T, rows []int) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = x[r]
	}
	return out
}

// A memo keeps the features of every kept series at the search rows, so that sets only fit models.
type memo [][2][]float64

// memo is made once a study.
func (s *study) memo() memo {
	if s.scaled == nil {
		s.scaled = make(memo, len(s.kept))
		parallel(cores(s.opt.Workers), len(s.scaled), func(_, k int) { s.scaled[k] = s.features[k].columns(s.rows, s.rec.Step) })
	}
	return s.scaled
}

// tryAll tries many sets at once, in their order.
func (s *study) tryAll(sets [][]int, m memo) []trial {
	out := make([]trial, len(sets))
	parallel(cores(s.opt.Workers), len(sets), func(_, i int) { out[i] = s.tryOut(sets[i], m) })
	return out
}

// subsets are all sets of 1 to most of the given positions.
func subsets(positions []int, most int) (out [][]int) {
	var grow func(from int, set []int)
	grow = func(from int, set []int) {
		for i := from; i < len(positions); i++ {
			next := append(slices.Clone(set), positions[i])
			out = append(out, next)
			if len(next) < most {
				grow(i+1, next)
			}
		}
	}
	grow(0, nil)
	return out
}

// leastGain is the rise in average precision below which greedy search stops: what noise gives.
const leastGain = 0.003

// greedy adds, from start on, the series with the largest gain / cost^exponent until nothing gains or the budget is
// spent (the cost-benefit heuristic for submodular functions; the exponent after BMC Bioinformatics 21:23, 2020). It
// returns every step.
func (s *study) greedy(candidates []int, exponent float64, m memo) (steps []trial) {
	var best trial
	for len(best.positions) < min(len(candidates), 6) {
		var sets [][]int
		for _, k := range candidates {
			if !slices.Contains(best.positions, k) {
				sets = append(sets, append(slices.Clone(best.positions), k))
			}
		}
		var next trial
		top := 0.0
		for _, t := range s.tryAll(sets, m) {
			gain := t.mean - best.mean
			if s.overBudget(t) || gain < leastGain {
				continue
			}
			if value := gain / math.Pow(max(t.cost-best.cost, 1e-9), exponent); value > top {
				next, top = t, value
			}
		}
		if next.positions == nil {
			return steps
		}
		best = next
		steps = append(steps, best)
	}
	return steps
}

func (s *study) overBudget(t trial) bool { return s.opt.Budget > 0 && t.cost > s.opt.Budget }

// mostLoss bounds, as a share of the best average precision, what is given up for a cheaper set: a standard error over a
// handful of turns is itself uncertain, and can be large.
const mostLoss = 0.05

// choose takes the cheapest trial that is not worse than the best by more than one standard error of their difference
// over the turns, and by 5 % at most; of equally cheap ones the better. Costs within a step of grain are equal: nobody
// gives up prediction for them. The differences are paired: turns differ far more than sets.
func choose(trials []trial, grain float64) trial {
	best := bestOf(trials)
	chosen := best
	for _, t := range trials {
		if price, least := steps(t.cost, grain), steps(chosen.cost, grain); price > least || price == least && t.mean <= chosen.mean {
			continue
		}
		if best.mean-t.mean <= min(max(difference(best, t), leastGain), mostLoss*best.mean) {
			chosen = t
		}
	}
	return chosen
}

// steps counts a cost in whole steps of grain, rounded up.
func steps(cost, grain float64) float64 {
	if grain == 0 {
		return cost
	}
	return math.Ceil(cost/grain - 1e-9)
}

func bestOf(trials []trial) trial {
	return slices.MaxFunc(trials, func(a, b trial) int {
		return cmp.Or(cmp.Compare(a.mean, b.mean), cmp.Compare(b.cost, a.cost))
	})
}

// difference is the standard error, over turns, of a's average precision less b's.
func difference(a, b trial) float64 {
	d := make([]float64, len(a.ap))
	for i, v := range a.ap {
		d[i] = v - b.ap[i]
	}
	return stderr(d)
}

// stderr is the standard error of the mean, without NaN; 0 for a single value.
func stderr(x []float64) float64 {
	x = slices.DeleteFunc(slices.Clone(x), math.IsNaN)
	_, std := moments(x)
	return std / math.Sqrt(float64(max(len(x), 1)))
}

// front keeps the trials that no cheaper one reaches.
func front(trials []trial) (out []trial) {
	sorted := slices.Clone(trials)
	slices.SortStableFunc(sorted, func(a, b trial) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(b.mean, a.mean), cmp.Compare(len(a.positions), len(b.positions)))
	})
	top := math.Inf(-1)
	for _, t := range sorted {
		if t.mean > top {
			out = append(out, t)
			top = t.mean
		}
	}
	return out
}
