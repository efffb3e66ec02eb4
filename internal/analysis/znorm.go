package analysis

import (
	"fmt"
	"math"
)

// flat is the standard deviation below which a series counts as constant, in units of the series. Rounding leaves
// about 1e-16 of the magnitude, so it grows with the mean of large values.
const flat = 1e-12

// ZNorm returns x with mean 0 and sample standard deviation (n-1) 1. A constant series becomes all zero, which is
// at distance 1 from everything under SBD.
func ZNorm(x []float64) []float64 {
	z := make([]float64, len(x))
	zscore(z, x)
	return z
}

// zscore writes the normalised x to dst, which may be x itself, and tells whether x varies.
func zscore(dst, x []float64) bool {
	mean, std := moments(x)
	if !(std >= flat*max(1, math.Abs(mean))) {
		clear(dst)
		return false
	}
	for i, v := range x {
		dst[i] = (v - mean) / std
	}
	return true
}

// moments gives mean and sample standard deviation by two passes: one pass cancels on large means.
func moments(x []float64) (mean, std float64) {
	if len(x) < 2 {
		return sum(x), 0
	}
	mean = sum(x) / float64(len(x))
	var ss float64
	for _, v := range x {
		ss += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(ss / float64(len(x)-1))
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// checkSeries holds that series are at least one, equally long, at least least points each, and finite.
func checkSeries(series [][]float64, least int) error {
	if len(series) == 0 {
		return ErrNoSeries
	}
	m := len(series[0])
	if m < least {
		return fmt.Errorf("%w: %d, need %d", ErrTooShort, m, least)
	}
	for i, s := range series {
		if len(s) != m {
			return fmt.Errorf("series %d: %w: %d points, the first has %d", i, ErrLength, len(s), m)
		}
		if at := firstNaN(s); at >= 0 {
			return fmt.Errorf("series %d, point %d: %w", i, at, ErrNaN)
		}
	}
	return nil
}

// firstNaN is the index of the first value that is NaN or infinite, or -1.
func firstNaN(x []float64) int {
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return i
		}
	}
	return -1
}
