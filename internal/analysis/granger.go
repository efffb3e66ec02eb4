package analysis

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// A Causality is a Granger test of one direction: the past of the cause helps to predict the effect.
type Causality struct {
	F        float64
	P        float64
	Num, Den int // degrees of freedom
}

// Granger tests whether cause precedes effect: an F test of the regression of effect on a constant and lag own lags
// against the one that adds lag lags of cause (Granger 1969; SSR based). The direction is the order of the arguments,
// which is not that of statsmodels' column order. The error wraps ErrLength, ErrNaN, ErrConstant or ErrTooShort.
func Granger(cause, effect []float64, lag int) (Causality, error) {
	if err := checkSeries([][]float64{cause, effect}, 1); err != nil {
		return Causality{}, err
	}
	return grangerIn([][]float64{cause}, [][]float64{effect}, lag)
}

// grangerIn is Granger over several runs: rows of all, lags within each.
func grangerIn(causes, effects [][]float64, lag int) (Causality, error) {
	n := 0
	for _, e := range effects {
		n += max(0, len(e)-lag)
	}
	if lag < 1 || n <= 2*lag+1 {
		return Causality{}, fmt.Errorf("%w: %d for lag %d, need %d", ErrTooShort, n, lag, 2*lag+2)
	}
	// The test does not depend on offset and scale, its conditioning does.
	x, y := slices.Concat(causes...), slices.Concat(effects...)
	if !zscore(x, x) || !zscore(y, y) {
		return Causality{}, ErrConstant
	}
	var target []float64
	columns := [][]float64{constant(n, 1)}
	columns = append(columns, make([][]float64, 2*lag)...)
	at := 0
	for _, e := range effects {
		to := at + len(e)
		if len(e) > lag {
			target = append(target, y[at+lag:to]...)
			for l := 1; l <= lag; l++ {
				columns[l] = append(columns[l], y[at+lag-l:to-l]...)
				columns[lag+l] = append(columns[lag+l], x[at+lag-l:to-l]...)
			}
		}
		at = to
	}
	restricted, free := leastSquares(columns[:lag+1], target), leastSquares(columns, target)
	c := Causality{Num: lag, Den: n - 2*lag - 1}
	if !restricted.full || !free.full || free.ssr <= 1e-20*restricted.ssr || free.ssr == 0 {
		return c, fmt.Errorf("%w given the past: the regression has no answer", ErrConstant)
	}
	c.F = max(0, (restricted.ssr-free.ssr)/float64(c.Num)/(free.ssr/float64(c.Den)))
	c.P = upperF(c.F, c.Num, c.Den)
	return c, nil
}

// upperF is the upper tail of the F distribution, exact far out where 1 minus the rest would be 0.
func upperF(f float64, num, den int) float64 {
	a, b := float64(den), float64(num)
	return mathext.RegIncBeta(a/2, b/2, a/(a+b*f))
}

// FalseDiscovery gives the Benjamini-Hochberg (1995) adjusted p values: those at most q are discoveries of which a
// share q is expected to be false. p are in [0, 1]; the order is kept.
func FalseDiscovery(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	sortBy(order, func(i int) float64 { return p[i] })
	adjusted := make([]float64, len(p))
	least := 1.0
	for rank, i := range slices.Backward(order) {
		least = min(least, p[i]*float64(len(p))/float64(rank+1))
		adjusted[i] = least
	}
	return adjusted
}
