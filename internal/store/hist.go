package store

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"viperprobe.dev/viperprobe/internal/metric"
)

// schema is that of metric.Hist: four buckets to an octave.
const schema = 2

// native turns a histogram of family f into Prometheus' form. The TSDB keeps
// what it is given, so each call makes a new one. The under- and overflow
// buckets become the buckets beside their neighbours.
func native(f *metric.Family, h *metric.Hist) *histogram.Histogram {
	n := &histogram.Histogram{Schema: schema, Sum: float64(h.Sum) / f.Scale()}
	if len(h.Counts) == 0 {
		return n
	}
	n.PositiveSpans = []histogram.Span{{
		Offset: int32(metric.SchemaIndex(f.Unit, h.First)),
		Length: uint32(len(h.Counts)),
	}}
	n.PositiveBuckets = make([]int64, len(h.Counts))
	last := int64(0)
	for i, c := range h.Counts {
		n.Count += c
		n.PositiveBuckets[i] = int64(c) - last
		last = int64(c)
	}
	return n
}

// fromNative is the inverse of native, for one that a query reads. Of another
// schema (somebody else's series in the same store), each bucket is added to the
// one with its upper bound, or the next.
func fromNative(f *metric.Family, n *histogram.FloatHistogram) metric.Hist {
	var row [metric.Buckets]uint64
	first := metric.SchemaIndex(f.Unit, 0)
	for it := n.PositiveBucketIterator(); it.Next(); {
		b := it.At()
		i := int(b.Index)
		if n.Schema != schema {
			i = int(math.Ceil(math.Log2(b.Upper)*4 - 1e-9))
		}
		row[min(max(i-first, 0), metric.Buckets-1)] += uint64(b.Count + 0.5)
	}
	row[0] += uint64(n.ZeroCount + 0.5)
	return metric.NewHist(uint64(max(n.Sum, 0)*f.Scale()+0.5), row[:])
}
