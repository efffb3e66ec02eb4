package probe

import (
	"math"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/internal/metric"
)

// The program asks the same vp.h as the hook groups:
//
//go:generate clang-14 -target bpfel -mcpu=v3 -g -O2 -Wall -Werror -I../../catalogue -idirafter /usr/include/x86_64-linux-gnu -c testdata/bucket.bpf.c -o testdata/bucket.o
//go:generate llvm-strip-14 -g testdata/bucket.o

// A question is struct question of bucket.bpf.c.
type question struct {
	Value     uint64
	NS, Bytes uint32
}

// bucketProgram loads the program alone: none of vp.h's maps.
func bucketProgram(t *testing.T) *ebpf.Program {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec("testdata/bucket.o")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.NewProgram(spec.Programs["bucket"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func buckets(t *testing.T, p *ebpf.Program, value uint64) question {
	t.Helper()
	q := question{Value: value}
	if _, err := p.Run(&ebpf.RunOptions{Context: &q, ContextOut: &q}); err != nil {
		t.Fatal(err)
	}
	return q
}

// Bucket i holds Bound(i-1) < v <= Bound(i), up to the resolution of the factor
// from ns to 2^-56 s and of the mantissa: 1e-9 of the value (trap 21). Bytes are exact.
func TestBucketsAreTheBounds(t *testing.T) {
	p := bucketProgram(t)
	var bounds []float64 // of bytes
	for i := range metric.Buckets {
		bounds = append(bounds, metric.Bound(metric.Bytes, i))
	}
	for i := range metric.Buckets - 1 {
		ns := metric.Bound(metric.Seconds, i) * 1e9
		blur := ns * 1e-9
		below, above := uint64(math.Floor(ns-blur)), uint64(math.Ceil(ns+blur))
		if above == below {
			above++
		}
		if got := buckets(t, p, below).NS; got != uint32(i) {
			t.Errorf("%d ns are in bucket %d, want %d", below, got, i)
		}
		if got := buckets(t, p, above).NS; got != uint32(i+1) {
			t.Errorf("%d ns are in bucket %d, want %d", above, got, i+1)
		}
		bytes := uint64(math.Floor(metric.Bound(metric.Bytes, i)))
		for _, n := range []uint64{bytes, bytes + 1} {
			if got, want := buckets(t, p, n).Bytes, slices.IndexFunc(bounds, func(b float64) bool { return float64(n) <= b }); got != uint32(want) {
				t.Errorf("%d bytes are in bucket %d, want %d", n, got, want)
			}
		}
	}
	for value, want := range map[uint64]question{
		0:              {NS: 0, Bytes: 0},
		1:              {NS: 0, Bytes: 0},
		2:              {NS: 0, Bytes: 4},
		1_000_000_000:  {NS: 80, Bytes: 110},
		math.MaxUint64: {NS: metric.Buckets - 1, Bytes: metric.Buckets - 1},
	} {
		want.Value = value
		if got := buckets(t, p, value); got != want {
			t.Errorf("buckets of %d are %+v, want %+v", value, got, want)
		}
	}
}
