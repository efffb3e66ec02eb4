package analysis

import (
	"fmt"
	"math"
	"syscall"
	"testing"
)

// benchSeries are n noisy shifted series of k shapes, by the recipe that test/bench-analysis/peer.py follows too,
// and the start that both take: the centroids are the first k series.
func benchSeries(n, m, k int) ([][]float64, Start) {
	u := lcg(n*m + k)
	all := make([][]float64, n)
	for i := range all {
		shape, shift := float64(i%k), math.Floor(u.next()*float64(m)/20)
		x := make([]float64, m)
		for t := range x {
			at := (float64(t) + shift) / float64(m)
			x[t] = math.Sin(2*math.Pi*(3+shape)*at) + math.Cos(2*math.Pi*(2+2*shape)*at*at) + 12*(u.next()-0.5)
		}
		all[i] = ZNorm(x)
	}
	return all, Start{Centroids: all[:k]}
}

// BenchmarkKShape is a whole run from one start. The check sums of the labels let the two programs be compared.
func BenchmarkKShape(b *testing.B) {
	for _, size := range []struct{ n, m, k int }{{60, 1200, 3}, {60, 1200, 6}, {250, 2000, 8}, {500, 1000, 8}, {500, 2000, 4}, {500, 2000, 8}} {
		for _, workers := range []int{1, 0} {
			name := fmt.Sprintf("%dx%d/k=%d/cores=%d", size.n, size.m, size.k, cores(workers))
			b.Run(name, func(b *testing.B) {
				series, start := benchSeries(size.n, size.m, size.k)
				b.ReportAllocs()
				var c Clustering
				for b.Loop() {
					var err error
					if c, err = KShape(series, size.k, KShapeOptions{Starts: []Start{start}, Workers: workers}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(c.Iterations), "iterations")
				b.ReportMetric(float64(labelSum(c.Labels)), "labels")
				b.ReportMetric(peakMiB(b), "peak-MiB")
			})
		}
	}
}

// peakMiB is the most memory that the process has had until now.
func peakMiB(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) / 1024
}

// labelSum is the same for the same labels in the same order.
func labelSum(labels []int) int {
	sum := 0
	for _, l := range labels {
		sum = (sum*31 + l) % 1000003
	}
	return sum
}

// BenchmarkChooseK is what one container of 60 series costs in full: standard starts, k from 2 to 7, silhouettes.
func BenchmarkChooseK(b *testing.B) {
	series, _ := benchSeries(60, 1200, 4)
	for b.Loop() {
		if _, _, err := ChooseK(series, 0, KShapeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
