package metric

import "math"

// Buckets is the number of buckets of a histogram: one for underflow, 109 of
// native schema 2 (four to an octave), one for overflow. With the sum, one
// histogram is 112 words of 8 bytes, 14 cache lines, in the kernel.
const Buckets = 111

// A Hist is a histogram of native schema 2: bucket i holds values v with
// Bound(i-1) < v <= Bound(i). Counts are stored for a contiguous range of
// buckets that starts at First.
type Hist struct {
	Sum    uint64 // in raw units: ns or bytes
	First  int
	Counts []uint64
}

// firstExponent is log2 of the underflow bucket's upper bound in base units:
// 2^-20 s (0.95 us) for times, 1 for everything else.
func firstExponent(u Unit) float64 {
	if u == Seconds {
		return -20
	}
	return 0
}

// SchemaIndex is the index, in Prometheus' native schema 2, of bucket i of a
// family in unit u: its upper bound is 2^(index/4).
func SchemaIndex(u Unit, i int) int { return int(firstExponent(u))*4 + i }

// Bound is the upper bound of bucket i in base units; +Inf for the last.
func Bound(u Unit, i int) float64 {
	if i >= Buckets-1 {
		return math.Inf(1)
	}
	return math.Exp2(float64(SchemaIndex(u, i)) / 4)
}

// NewHist makes a histogram of a full row of counts, keeping the range that is
// not zero. The result shares the memory of counts.
func NewHist(sum uint64, counts []uint64) Hist {
	lo, hi := 0, len(counts)
	for lo < hi && counts[lo] == 0 {
		lo++
	}
	for hi > lo && counts[hi-1] == 0 {
		hi--
	}
	return Hist{Sum: sum, First: lo, Counts: counts[lo:hi:hi]}
}

// Count is the number of observations.
func (h *Hist) Count() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// At is the count of bucket i.
func (h *Hist) At(i int) uint64 {
	if i < h.First || i >= h.First+len(h.Counts) {
		return 0
	}
	return h.Counts[i-h.First]
}

// Sub is h - old, bucket by bucket. Where old is larger (it never is for
// histograms of one incarnation) the difference is 0.
func (h *Hist) Sub(old *Hist) Hist {
	d := Hist{Sum: monus(h.Sum, old.Sum), First: h.First, Counts: make([]uint64, len(h.Counts))}
	for i, c := range h.Counts {
		d.Counts[i] = monus(c, old.At(h.First+i))
	}
	return NewHist(d.Sum, d.Counts).shift(d.First)
}

func (h Hist) shift(by int) Hist { h.First += by; return h }

func monus(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// Add merges other into h.
func (h *Hist) Add(other *Hist) {
	if len(other.Counts) == 0 {
		h.Sum += other.Sum
		return
	}
	lo, hi := other.First, other.First+len(other.Counts)
	if len(h.Counts) > 0 {
		lo, hi = min(lo, h.First), max(hi, h.First+len(h.Counts))
	}
	sum := make([]uint64, hi-lo)
	for i := range sum {
		sum[i] = h.At(lo+i) + other.At(lo+i)
	}
	*h = Hist{Sum: h.Sum + other.Sum, First: lo, Counts: sum}
}

// Quantile is the q-quantile in base units of unit u, interpolated
// geometrically inside its bucket (as Prometheus does for native histograms);
// NaN when the histogram is empty. Within the overflow bucket it is that
// bucket's lower bound.
func (h *Hist) Quantile(u Unit, q float64) float64 {
	n := h.Count()
	if n == 0 {
		return math.NaN()
	}
	rank, seen := q*float64(n), 0.0
	for i, c := range h.Counts {
		if c == 0 {
			continue
		}
		if seen+float64(c) >= rank {
			return within(u, h.First+i, (rank-seen)/float64(c))
		}
		seen += float64(c)
	}
	return Bound(u, h.First+len(h.Counts)-1)
}

func within(u Unit, i int, part float64) float64 {
	switch {
	case i == 0:
		return Bound(u, 0) * part
	case i == Buckets-1:
		return Bound(u, i-1)
	}
	return math.Exp2((float64(SchemaIndex(u, i-1)) + part) / 4)
}
