package analysis

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/interp"
)

// A Grid is N cells of width Step from Start on, in seconds.
type Grid struct {
	Start, Step float64
	N           int
}

// longestGap is how many cells in a row may be filled in: Sieve's rule, 2 s of its 500 ms grid.
const longestGap = 4

// Resample puts samples at any times (seconds, in any order) on a grid: a cell is the mean of the samples in it. Up to
// gap empty cells in a row (0 means 4, negative none) between filled ones are interpolated by a monotone cubic
// (Fritsch & Butland 1984), which never overshoots its neighbours; longer gaps and both ends stay NaN. NaN values count
// as missing. coverage is the share of cells that have a value of their own. The error wraps ErrLength or ErrNaN (of a
// time), or says what is wrong with the grid.
func Resample(times, values []float64, g Grid, gap int) (out []float64, coverage float64, err error) {
	if len(times) != len(values) {
		return nil, 0, fmt.Errorf("%d times for %d values: %w", len(times), len(values), ErrLength)
	}
	if !(g.Step > 0) || g.N < 1 || firstNaN([]float64{g.Start, g.Step}) >= 0 {
		return nil, 0, fmt.Errorf("grid of %d cells of %g s: both must be positive", g.N, g.Step)
	}
	if at := firstNaN(times); at >= 0 {
		return nil, 0, fmt.Errorf("time %d: %w", at, ErrNaN)
	}
	out = make([]float64, g.N)
	count := make([]float64, g.N)
	for i, t := range times {
		// A time on an edge belongs to the cell it opens, in spite of rounding.
		cell := math.Floor((t-g.Start)/g.Step + 1e-9)
		if v := values[i]; cell >= 0 && cell < float64(g.N) && !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[int(cell)] += v
			count[int(cell)]++
		}
	}
	filled := 0
	for i, n := range count {
		if n == 0 {
			out[i] = math.NaN()
			continue
		}
		out[i] /= n
		filled++
	}
	if gap == 0 {
		gap = longestGap
	}
	return out, float64(filled) / float64(g.N), fillGaps(out, gap)
}

// fillGaps interpolates runs of at most longest NaN between values.
func fillGaps(x []float64, longest int) error {
	var at, v []float64
	for i, y := range x {
		if !math.IsNaN(y) {
			at, v = append(at, float64(i)), append(v, y)
		}
	}
	if len(at) < 2 || len(at) == len(x) {
		return nil
	}
	var curve interp.FritschButland
	if err := curve.Fit(at, v); err != nil {
		return fmt.Errorf("interpolate gaps: %w", err)
	}
	for i := range len(at) - 1 {
		from, to := int(at[i])+1, int(at[i+1])
		if to-from > longest {
			continue
		}
		for j := from; j < to; j++ {
			x[j] = curve.Predict(float64(j))
		}
	}
	return nil
}

// Rates turns the values of a counter on a grid of the given step into increases per second, with NaN in the first
// cell and wherever the counter fell (a restart: what it lost is unknown).
func Rates(values []float64, step float64) []float64 {
	out := make([]float64, len(values))
	for i := range out {
		out[i] = math.NaN()
		if i > 0 && values[i] >= values[i-1] {
			out[i] = (values[i] - values[i-1]) / step
		}
	}
	return out
}

// Difference gives the n-1 first differences.
func Difference(x []float64) []float64 {
	if len(x) == 0 {
		return nil
	}
	d := make([]float64, len(x)-1)
	for i := range d {
		d[i] = x[i+1] - x[i]
	}
	return d
}
