package store

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// load makes the batches of a node with 100 containers and 50 families: 36
// counters, 8 gauges, 6 histograms each; 5,000 series.
type load struct {
	targets  []*metric.Target
	families []*metric.Family
}

func newLoad(targets int) *load {
	l := &load{}
	for i := range targets {
		l.targets = append(l.targets, container(fmt.Sprintf("c%03d", i)))
	}
	for i := range 50 {
		f := &metric.Family{Name: fmt.Sprintf("family_%02d", i), Help: "H.", Kind: metric.Counter, Unit: metric.One}
		switch {
		case i >= 44:
			f.Kind, f.Unit = metric.Histogram, metric.Seconds
		case i >= 36:
			f.Kind, f.Unit = metric.Gauge, metric.Bytes
		}
		l.families = append(l.families, f)
	}
	return l
}

func (l *load) batch(seq int) *metric.Batch {
	b := batchAt(seq)
	for ti, t := range l.targets {
		g := metric.Group{Target: t, Samples: make([]metric.Sample, len(l.families))}
		for i, f := range l.families {
			at := func(seq int) uint64 { return uint64(seq*100 + (seq*7+i*13+ti)%97) }
			v := at(seq) - at(seq-1)
			s := metric.Sample{Family: f, Value: v, Max: v, Total: at(seq), Ratio: 1}
			if f.Kind == metric.Histogram {
				s.Hist = &metric.Hist{Sum: 60_000, First: 20, Counts: []uint64{50, 51, 52, 3, 2, 1, 1, 1, 1, 1, 1, 1}}
				n := uint64(seq)
				s.Sum = &metric.Hist{Sum: n * 60_000, First: 20, Counts: []uint64{n * 50, n * 51, n * 52, n * 3, n * 2, n, n, n, n, n, n, n}}
			}
			g.Samples[i] = s
		}
		b.Groups = append(b.Groups, g)
	}
	return b
}

// BenchmarkAppend appends the batches of 100 containers with 50 families: one
// operation is 5,000 samples.
func BenchmarkAppend(b *testing.B) {
	l := newLoad(100)
	s := openStore(b, Options{Dir: filepath.Join(b.TempDir(), "store")})
	appendAll(b, s, l.batch(1))
	b.ReportAllocs()
	b.StopTimer()
	const at = 64 // batches made ahead, so that making them is not timed
	var ready []*metric.Batch
	seq := 2
	for range b.N {
		if len(ready) == 0 {
			for range at {
				ready = append(ready, l.batch(seq))
				seq++
			}
		}
		b.StartTimer()
		if err := s.Append(ready[0]); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		ready = ready[1:]
	}
	n := float64(b.N * 5000)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/sample")
	ready = nil
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(s.Stats().Bytes)/n, "disk-B/sample")
}

// BenchmarkPromQL sums the rates of 6,000 series by namespace over 10 minutes at
// steps of 15 s.
func BenchmarkPromQL(b *testing.B) {
	l := newLoad(6000)
	l.families = l.families[:1]
	s := openStore(b, Options{})
	for seq := 1; seq <= 600; seq++ {
		appendAll(b, s, l.batch(seq))
	}
	b.ResetTimer()
	for range b.N {
		r, err := s.Steps(context.Background(), `sum by (namespace) (rate(viperprobe_family_00_total[1m]))`,
			t0, t0.Add(10*time.Minute), 15*time.Second)
		if err != nil || r.Err != nil {
			b.Fatal(err, r.Err)
		}
	}
}

// BenchmarkHour writes an hour of 5,000 samples a second, with everything that the
// TSDB does behind: chunks to disk each minute, blocks, merges. It prints the share
// of one core that this takes.
func BenchmarkHour(b *testing.B) {
	l := newLoad(100)
	s := openStore(b, Options{})
	var spent, making time.Duration
	for hour := range b.N {
		begin := cpuTime(b)
		for seq := hour*3600 + 1; seq <= (hour+1)*3600; seq++ {
			made := time.Now()
			batch := l.batch(seq)
			making += time.Since(made)
			appendAll(b, s, batch)
			if seq%60 == 0 {
				s.db.ForceHeadMMap()
			}
		}
		spent += cpuTime(b) - begin
	}
	b.ReportMetric(100*(spent-making).Seconds()/float64(b.N*3600), "%-of-a-core")
	b.ReportMetric(100*spent.Seconds()/float64(b.N*3600), "%-with-making-batches")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(s.Stats().Bytes)/(1<<20), "disk-MiB")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
