package web

import (
	"math"

	dto "github.com/prometheus/client_model/go"

	"viperprobe.dev/viperprobe/internal/metric"
)

// edges are the bounds of the classic buckets of one unit: one edge of schema 2
// in four, the powers of two, so that a classic bucket is the sum of native ones
// and nothing is interpolated. 2^-20 s (1 us) to 2^7 s, or 2^0 to 2^27 bytes.
type edges struct {
	last  []int // native bucket that ends a classic one
	bound []float64
	le    [][]byte // bound as text
}

func (g *gathering) edges(u metric.Unit) edges {
	e, made := g.classic[u]
	if made {
		return e
	}
	for i := range metric.Buckets - 1 {
		if metric.SchemaIndex(u, i)%4 == 0 {
			e.last, e.bound = append(e.last, i), append(e.bound, metric.Bound(u, i))
		}
	}
	e.last, e.bound = append(e.last, metric.Buckets-1), append(e.bound, math.Inf(1))
	for _, b := range e.bound {
		e.le = append(e.le, appendTextFloat(nil, b))
	}
	g.classic[u] = e
	return e
}

// histogram is h with classic buckets.
func (g *gathering) histogram(f *metric.Family, h *metric.Hist) *dto.Histogram {
	e := g.edges(f.Unit)
	out := &dto.Histogram{SampleSum: new(float64(h.Sum) / f.Scale()), Bucket: make([]*dto.Bucket, len(e.last))}
	buckets := make([]struct {
		dto.Bucket
		count uint64
	}, len(e.last))
	n, next := uint64(0), h.First
	for i := range e.last {
		n, next = e.upTo(i, h, n, next)
		b := &buckets[i]
		b.count = n
		b.CumulativeCount, b.UpperBound = &b.count, &e.bound[i]
		out.Bucket[i] = &b.Bucket
	}
	out.SampleCount = &n
	return out
}

// upTo goes on with the sum n of h's buckets before next, to the end of classic
// bucket i.
func (e *edges) upTo(i int, h *metric.Hist, n uint64, next int) (uint64, int) {
	for ; next <= e.last[i] && next < h.First+len(h.Counts); next++ {
		n += h.Counts[next-h.First]
	}
	return n, next
}

// addNative adds the same counts as a native histogram of schema 2.
func addNative(out *dto.Histogram, f *metric.Family, h *metric.Hist) {
	out.Schema, out.ZeroThreshold, out.ZeroCount = new(int32(2)), new(0.0), new(uint64(0))
	out.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(metric.SchemaIndex(f.Unit, h.First))), Length: new(uint32(len(h.Counts)))}}
	if len(h.Counts) == 0 { // the span that says: native, and empty
		out.PositiveSpan[0].Offset = new(int32(0))
	}
	out.PositiveDelta = make([]int64, len(h.Counts))
	before := int64(0)
	for i, c := range h.Counts {
		out.PositiveDelta[i] = int64(c) - before
		before = int64(c)
	}
}
