package analysis

import (
	"math"
	"slices"
)

// purge is how many seconds at the start of a run are not learnt from, as windows are not full.
const purge = 30.0

// windows are the seconds that a level is a mean over, and that a slope looks back. A warning a minute ahead takes what a
// person would read off a graph, and an HPA's period; what must act at once cannot wait for a mean of 15 s to move.
func (t Task) windows() (level, trend float64) {
	if t == Diagnosis || t == Overload {
		return 5, 10
	}
	return 15, 30
}

// A feature turns one series into two columns for all rows of a recording: its level, the mean over the task's window in
// the same run (as a logarithm, if it is heavy-tailed), and how that rose in its trend's. Both are scaled by the rows that
// may be learnt from.
type feature struct {
	level []float64 // in the series' unit
	trend float64   // seconds
	unit  float64   // of the logarithm: log(1 + level/unit); 0 means as it is
	scale [2]struct{ mean, std float64 }
}

// makeFeature takes the prepared values of all rows, all runs, and those to learn the scale from.
func makeFeature(x []float64, step float64, t Task, runs, train []Section) feature {
	window, trend := t.windows()
	f := feature{level: make([]float64, len(x)), trend: trend}
	rows := max(1, int(math.Round(window/step)))
	for _, run := range runs {
		var s float64
		for i := run.From; i < run.To; i++ {
			s += x[i]
			n := i - run.From + 1
			if n > rows {
				s -= x[i-rows]
				n = rows
			}
			f.level[i] = s / float64(n)
		}
	}
	var learnt []float64
	for _, run := range train {
		learnt = append(learnt, f.level[run.From:run.To]...)
	}
	f.unit = tail(learnt)
	var columns [2][]float64
	for _, run := range train {
		for i := run.From; i < run.To; i++ {
			a, b := f.raw(i, run.From, step)
			columns[0], columns[1] = append(columns[0], a), append(columns[1], b)
		}
	}
	for j, c := range columns {
		f.scale[j].mean, f.scale[j].std = moments(c)
		if f.scale[j].std < flat {
			f.scale[j].std = 1
		}
	}
	return f
}

// tail gives the unit for the logarithm of a heavy-tailed series: the median, or the mean where that is 0. It is 0 for
// series that go below 0 or whose skewness is below 2.
func tail(x []float64) float64 {
	mean, std := moments(x)
	if std == 0 || slices.Min(x) < 0 {
		return 0
	}
	var skew float64
	for _, v := range x {
		d := (v - mean) / std
		skew += d * d * d
	}
	if skew/float64(len(x)) < 2 {
		return 0
	}
	if m := quantile(x, 0.5); m > 0 {
		return m
	}
	return mean
}

func (f feature) raw(i, start int, step float64) (level, slope float64) {
	at := func(i int) float64 {
		if f.unit > 0 {
			// Running sums can leave a rounding error below 0 where all is 0.
			return math.Log1p(max(f.level[i], 0) / f.unit)
		}
		return f.level[i]
	}
	back := max(start, i-max(1, int(math.Round(f.trend/step))))
	return at(i), at(i) - at(back)
}

// columns gathers both columns for the given rows.
func (f feature) columns(rows []row, step float64) [2][]float64 {
	out := [2][]float64{make([]float64, len(rows)), make([]float64, len(rows))}
	for k, r := range rows {
		a, b := f.raw(r.at, r.start, step)
		out[0][k] = (a - f.scale[0].mean) / f.scale[0].std
		out[1][k] = (b - f.scale[1].mean) / f.scale[1].std
	}
	return out
}

// A row is a row of the recording with its run.
type row struct {
	at, start int
	run       int // index of the run
	label     bool
}
