package store

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Any histogram is valid for the TSDB, and comes back as it was.
func FuzzNative(f *testing.F) {
	f.Add(uint64(0), uint8(0), []byte{})
	f.Add(uint64(12345), uint8(40), []byte{1, 0, 2, 255})
	f.Add(uint64(1), uint8(110), []byte{9})
	_, _, runq, _ := families()
	f.Fuzz(func(t *testing.T, sum uint64, first uint8, raw []byte) {
		counts := make([]uint64, metric.Buckets)
		for i, b := range raw {
			counts[(int(first)+i)%metric.Buckets] += uint64(b)
		}
		h := metric.NewHist(sum%(1<<53), counts)
		n := native(runq, &h)
		if err := n.Validate(); err != nil {
			t.Fatal(err)
		}
		got := fromNative(runq, n.ToFloat(nil))
		if diff := math.Abs(float64(got.Sum) - float64(h.Sum)); diff > 2 {
			t.Errorf("sum %d, was %d", got.Sum, h.Sum)
		}
		got.Sum = h.Sum
		if h.Count() == 0 {
			h, got = metric.Hist{}, metric.Hist{Counts: nil, Sum: uint64(got.Count())}
		}
		if diff := cmp.Diff(h, got); diff != "" {
			t.Errorf("(-was +is)\n%s", diff)
		}
	})
}

// The index of Prometheus' schema 2 has the bounds of metric.Hist.
func TestNativeBounds(t *testing.T) {
	_, _, runq, _ := families()
	counts := make([]uint64, metric.Buckets)
	for i := range counts {
		counts[i] = uint64(i + 1)
	}
	h := metric.NewHist(1, counts)
	it := native(runq, &h).PositiveBucketIterator()
	for i := 0; it.Next(); i++ {
		b, want := it.At(), metric.Bound(runq.Unit, i)
		if i < metric.Buckets-1 && math.Abs(b.Upper-want) > want*1e-12 || b.Count != uint64(i+1) {
			t.Errorf("bucket %d: up to %g, %d; want %g, %d", i, b.Upper, b.Count, want, i+1)
		}
	}
}

// A histogram of another schema (somebody else's, in the same store) is read too.
func TestOtherSchema(t *testing.T) {
	_, _, runq, _ := families()
	h := metric.Hist{Sum: 7e9, First: 80, Counts: []uint64{3, 4}}
	n := native(runq, &h).ToFloat(nil).CopyToSchema(0)
	if got := fromNative(runq, n); got.Count() != 7 {
		t.Errorf("%+v", got)
	}
}
