package analysis

import (
	"cmp"
	"fmt"
	"slices"
)

// Silhouette is the mean over n series of (b-a)/max(a,b), a the mean distance to the rest of the own cluster and b the
// least mean distance to another one (Rousseeuw 1987); 0 for a series alone in its cluster, and -1 if there is only
// one cluster. distance is n × n, labels are in [0, n).
func Silhouette(distance [][]float64, labels []int) (float64, error) {
	n := len(labels)
	if n == 0 {
		return 0, ErrNoSeries
	}
	if len(distance) != n {
		return 0, fmt.Errorf("%d rows of distances for %d labels: %w", len(distance), n, ErrLength)
	}
	size := make([]int, n)
	for i, l := range labels {
		if l < 0 || l >= n || len(distance[i]) != n {
			return 0, fmt.Errorf("series %d: label %d, %d distances: want a label below %d and %d distances", i, l, len(distance[i]), n, n)
		}
		size[l]++
	}
	used := 0
	for _, s := range size {
		used += min(s, 1)
	}
	if used < 2 {
		return -1, nil
	}
	var total float64
	mean := make([]float64, n)
	for i, own := range labels {
		if size[own] == 1 {
			continue
		}
		clear(mean)
		for j, d := range distance[i] {
			mean[labels[j]] += d
		}
		a, b := mean[own]/float64(size[own]-1), -1.0
		for l, s := range size {
			if v := mean[l] / float64(max(s, 1)); s > 0 && l != own && (b < 0 || v < b) {
				b = v
			}
		}
		if top := max(a, b); top > 0 {
			total += (b - a) / top
		}
	}
	return total / float64(n), nil
}

// A KChoice is one number of clusters that was tried.
type KChoice struct {
	K          int
	Silhouette float64
}

// mostClusters is as many as Sieve needed for any component.
const mostClusters = 7

// ChooseK clusters with k = 2 to most (0 means 7) and keeps the k with the largest silhouette, the smallest on a tie.
// Fewer than three series are not compared: each is its own cluster. The choices come in the order of k.
func ChooseK(series [][]float64, most int, o KShapeOptions) (Clustering, []KChoice, error) {
	s, err := newShapes(series, o)
	if err != nil {
		return Clustering{}, nil, err
	}
	n := len(series)
	if n < 3 {
		c, err := s.cluster(n, o)
		return c, nil, err
	}
	if most <= 0 {
		most = mostClusters
	}
	d := distances(s.spectra, s.m, s.reach, s.workers, nil)
	var best Clustering
	var choices []KChoice
	top := -2.0
	for k := 2; k <= min(most, n-1); k++ {
		c, err := s.cluster(k, o)
		if err != nil {
			return Clustering{}, nil, err
		}
		v, err := Silhouette(d, c.Labels)
		if err != nil {
			return Clustering{}, nil, err
		}
		choices = append(choices, KChoice{K: c.K, Silhouette: v})
		if v > top {
			best, top = c, v
		}
		if c.K < k {
			break // no more distinct series
		}
	}
	return best, choices, nil
}

// sortBy sorts by a key, keeping the order of equal ones.
func sortBy[T any, K cmp.Ordered](s []T, key func(T) K) {
	slices.SortStableFunc(s, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}
