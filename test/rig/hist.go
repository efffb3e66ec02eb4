package rig

import (
	"maps"
	"math"
	"slices"
)

func (h *Hist) add(s *Sample) {
	h.Count += *s.Count
	h.Sum += s.Sum
	for _, b := range s.Buckets {
		bound, finite := b[0].(float64)
		if !finite {
			bound = math.Inf(1)
		}
		n, _ := b[1].(float64)
		h.Buckets[bound] += uint64(n)
	}
}

// Merge adds other, or takes it away.
func (h *Hist) Merge(other *Hist, sign int) {
	h.Count += uint64(sign) * other.Count
	h.Sum += float64(sign) * other.Sum
	for bound, n := range other.Buckets {
		h.Buckets[bound] += uint64(sign) * n
	}
}

// Bound is the upper bound of the bucket that holds the q-quantile, 0 when there
// is none.
func (h *Hist) Bound(q float64) float64 {
	var total, seen uint64
	for _, n := range h.Buckets {
		total += n
	}
	for _, bound := range slices.Sorted(maps.Keys(h.Buckets)) {
		if seen += h.Buckets[bound]; seen > 0 && float64(seen) >= q*float64(total) {
			return bound
		}
	}
	return 0
}
