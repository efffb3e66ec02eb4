package analysis

import (
	"cmp"
	"fmt"
	"slices"
)

// Spearman is the rank correlation of two series of equal length, ties at their mean rank. The error wraps ErrLength,
// ErrTooShort, ErrNaN or ErrConstant.
func Spearman(x, y []float64) (float64, error) {
	if err := checkSeries([][]float64{x, y}, 2); err != nil {
		return 0, err
	}
	rx, ry := ranks(x), ranks(y)
	if !zscore(rx, rx) || !zscore(ry, ry) {
		return 0, ErrConstant
	}
	return dot(rx, ry) / float64(len(x)-1), nil
}

// ranks counts from 1.
func ranks(x []float64) []float64 {
	order := ascending(x)
	r := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, o := range order[i:j] {
			r[o] = float64(i+j+1) / 2
		}
		i = j
	}
	return r
}

// ascending gives the indices of x by value, equal ones in their order.
func ascending(x []float64) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	// By index among equals: what a stable sort gives, in half the time.
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(x[a], x[b]), a-b) })
	return order
}

// indicator is 1 where y is true; the error wraps ErrOneClass unless both values occur.
func indicator(y []bool) ([]float64, error) {
	out := make([]float64, len(y))
	for i, v := range y {
		if v {
			out[i] = 1
		}
	}
	if s := sum(out); s == 0 || s == float64(len(y)) {
		return nil, fmt.Errorf("%w: %g of %d are true", ErrOneClass, s, len(y))
	}
	return out, nil
}
