package analysis

import (
	"math"
	"slices"
)

// quantiles is into how many bins of equal frequency mutual information cuts a series.
const quantiles = 8

// MutualInformation of two series of equal length, in nats: both are cut into 8 bins of equal frequency (a series with
// fewer values has fewer bins), and the Miller-Madow (1955) correction takes off what the bins make up by chance; so
// independent series come out at about 0, and slightly negative ones happen. Errors as in Spearman.
func MutualInformation(x, y []float64) (float64, error) {
	if err := checkSeries([][]float64{x, y}, 2*quantiles); err != nil {
		return 0, err
	}
	return informationOf(bins(x), bins(y)), nil
}

func informationOf(a, b []int) float64 {
	t := contingency(a, b)
	n := float64(t.n)
	plain := entropy(t.row, n) + entropy(t.col, n) - entropy(t.cell, n)
	return plain + float64(len(t.row)+len(t.col)-len(t.cell)-1)/(2*n)
}

// bins numbers the bin of each value. Equal values share a bin, the lowest of those that they would spread over.
func bins(x []float64) []int {
	order := ascending(x)
	out := make([]int, len(x))
	for rank, i := range order {
		out[i] = rank * quantiles / len(x)
		if rank > 0 && x[i] == x[order[rank-1]] {
			out[i] = out[order[rank-1]]
		}
	}
	return out
}

// MRMR orders count of n features by minimum redundancy and maximum relevance (Peng, Long & Ding 2005, difference
// form): the next is the one with the largest mutual information with y less its mean over those chosen; the first
// wins a tie. The error wraps those of MutualInformation, or ErrOneClass.
func MRMR(features [][]float64, y []bool, count int) ([]int, error) {
	if err := checkSeries(features, 2*quantiles); err != nil {
		return nil, err
	}
	if len(y) != len(features[0]) {
		return nil, ErrLength
	}
	target, err := indicator(y)
	if err != nil {
		return nil, err
	}
	label := make([]int, len(y))
	for i, v := range target {
		label[i] = int(v)
	}
	cut := make([][]int, len(features))
	relevance, redundancy := make([]float64, len(features)), make([]float64, len(features))
	for i, f := range features {
		cut[i] = bins(f)
		relevance[i] = informationOf(cut[i], label)
	}
	var chosen []int
	for len(chosen) < min(count, len(features)) {
		best, top := -1, math.Inf(-1)
		for i := range features {
			score := relevance[i] - redundancy[i]/float64(max(1, len(chosen)))
			if score > top && !slices.Contains(chosen, i) {
				best, top = i, score
			}
		}
		chosen = append(chosen, best)
		for i := range features {
			redundancy[i] += informationOf(cut[i], cut[best])
		}
	}
	return chosen, nil
}
