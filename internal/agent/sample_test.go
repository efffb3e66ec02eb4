package agent

import (
	"math"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

var (
	snapshot = &metric.Family{Name: "s", Kind: metric.Counter, Tier: metric.Snapshot}
	files    = &metric.Family{Name: "f", Kind: metric.Counter, Tier: metric.File}
	events   = &metric.Family{Name: "e", Kind: metric.Counter, Tier: metric.Event}
	latency  = &metric.Family{Name: "h", Kind: metric.Histogram, Tier: metric.Event, Unit: metric.Seconds}
)

func TestCounterOverTime(t *testing.T) {
	for name, tc := range map[string]struct {
		family *metric.Family
		born   bool
		says   []uint64
		want   []uint64 // increases
		total  uint64
	}{
		"older than we":              {snapshot, false, []uint64{100, 130, 130, 150}, []uint64{0, 30, 0, 20}, 50},
		"born under us":              {snapshot, true, []uint64{100, 130}, []uint64{100, 30}, 130},
		"files tell their own total": {files, false, []uint64{100, 130}, []uint64{0, 30}, 130},
		"events count from nothing":  {events, false, []uint64{5, 7}, []uint64{5, 2}, 7},
		"a little lower, then on":    {snapshot, true, []uint64{10, 9, 9, 12}, []uint64{10, 0, 0, 2}, 12},
	} {
		x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
		x.born = tc.born
		var m metric.Sample
		for i, v := range tc.says {
			r := metric.Reading{Family: tc.family, Value: v}
			m = x.begin(0, &r).sample(&r, 1)
			if m.Value != tc.want[i] {
				t.Errorf("%s: window %d increased by %d, want %d", name, i, m.Value, tc.want[i])
			}
		}
		if m.Total != tc.total {
			t.Errorf("%s: total %d, want %d", name, m.Total, tc.total)
		}
	}
}

// A family that was off for a while reports nothing of that while.
func TestRenewed(t *testing.T) {
	x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
	x.born = true
	see := func(v uint64) uint64 {
		r := metric.Reading{Family: snapshot, Value: v}
		return x.begin(0, &r).sample(&r, 1).Value
	}
	see(10)
	x.windows = 1
	x.renew(snapshot)
	if got := see(500); got != 0 {
		t.Errorf("first window after the while: %d, want 0", got)
	}
	if got := see(503); got != 3 {
		t.Errorf("second window: %d, want 3", got)
	}
}

func TestHistogramOverTime(t *testing.T) {
	x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
	see := func(sum uint64, at ...int) metric.Sample {
		counts := make([]uint64, metric.Buckets)
		for _, i := range at {
			counts[i]++
		}
		h := metric.NewHist(sum, counts)
		r := metric.Reading{Family: latency, Hist: &h}
		return x.begin(0, &r).sample(&r, 1)
	}
	if m := see(5, 3, 7); m.Hist.Count() != 2 || m.Sum.Count() != 2 {
		t.Errorf("first: %d and %d observations, want 2 and 2", m.Hist.Count(), m.Sum.Count())
	}
	if m := see(9, 3, 7, 7); m.Hist.Count() != 1 || m.Hist.At(7) != 1 || m.Hist.Sum != 4 || m.Sum.Count() != 3 {
		t.Errorf("second: window %+v, sum %+v", m.Hist, m.Sum)
	}
}

// The counts of a pod's devices are one target's at a time: who takes them over
// starts from there, whoever gets them back too, and a new device starts anew.
func TestCountsOfANetworkNamespace(t *testing.T) {
	packets := &metric.Family{Name: "n", Kind: metric.Counter, Tier: metric.File, Owner: metric.OwnerNetwork}
	x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
	x.born = true
	for i, window := range []struct{ says, want uint64 }{
		{5000, 0}, {5010, 10}, {0, 0}, {7000, 0}, {7004, 4}, {3, 0}, {8, 5},
	} {
		if window.says > 0 {
			r := metric.Reading{Family: packets, Value: window.says}
			if got := x.begin(0, &r).sample(&r, 1).Value; got != window.want {
				t.Errorf("window %d increased by %d, want %d", i, got, window.want)
			}
		}
		x.windows++
	}
}

// Readings come in the same order most of the time, and are told apart when they
// do not.
func TestSeriesAreFoundOutOfOrder(t *testing.T) {
	x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
	x.born = true
	see := func(at int, disk string, v uint64) uint64 {
		r := metric.Reading{Family: files, Labels: [2]string{disk}, Value: v}
		return x.begin(at, &r).sample(&r, 1).Value
	}
	see(0, "vda", 10)
	see(1, "vdb", 20)
	if a, b := see(0, "vdb", 21), see(1, "vda", 13); a != 1 || b != 3 {
		t.Errorf("increases %d and %d, want 1 and 3", a, b)
	}
}

// What was counted under a ratio stands for 1/ratio of it, under whatever ratio the
// window ends; rests below one are not lost.
func TestSampledCounterOverTime(t *testing.T) {
	x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
	reading := func(v uint64) (*series, *metric.Reading) {
		r := &metric.Reading{Family: events, Value: v}
		return x.begin(0, r), r
	}
	for i, tc := range []struct {
		settled      map[uint64]float64 // readings in the window, and the ratio of each
		at           uint64             // of the window's end
		ratio        float64
		value, total uint64
		told         float64
	}{
		{nil, 10, 1, 10, 10, 1},
		{nil, 20, 0.1, 100, 110, 0.1},
		{map[uint64]float64{30: 0.1}, 40, 0.5, 120, 230, 20.0 / 120},
		{nil, 41, 0.3, 3, 233, 0.3},
		{nil, 42, 0.3, 3, 236, 0.3},
		{nil, 43, 0.3, 4, 240, 0.3},
		{map[uint64]float64{43: 1}, 43, 0.25, 0, 240, 0.25},
	} {
		for v, ratio := range tc.settled {
			s, r := reading(v)
			s.take(r, ratio)
		}
		s, r := reading(tc.at)
		m := s.sample(r, tc.ratio)
		if m.Value != tc.value || m.Total != tc.total || math.Abs(m.Ratio-tc.told) > 1e-9 {
			t.Errorf("window %d: %d, total %d, ratio %v; want %d, %d, %v", i, m.Value, m.Total, m.Ratio, tc.value, tc.total, tc.told)
		}
	}
}

func TestSampledHistogramOverTime(t *testing.T) {
	x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
	see := func(ratio float64, sum uint64, n ...uint64) metric.Sample {
		counts := make([]uint64, metric.Buckets)
		copy(counts[7:], n)
		h := metric.NewHist(sum, counts)
		r := metric.Reading{Family: latency, Hist: &h}
		return x.begin(0, &r).sample(&r, ratio)
	}
	same := func(what string, h *metric.Hist, sum uint64, n ...uint64) {
		t.Helper()
		if h.Sum != sum {
			t.Errorf("%s: sum %d, want %d", what, h.Sum, sum)
		}
		for i, want := range n {
			if h.At(7+i) != want {
				t.Errorf("%s: bucket %d has %d, want %d", what, i, h.At(7+i), want)
			}
		}
	}
	m := see(1, 30, 2, 1)
	same("whole", m.Hist, 30, 2, 1)
	first := m.Sum
	m = see(0.25, 50, 3, 1, 1)
	same("a quarter", m.Hist, 80, 4, 0, 4)
	same("both", m.Sum, 110, 6, 1, 4)
	second := m.Sum
	m = see(1, 51, 4, 1, 1)
	same("whole again", m.Hist, 1, 1, 0, 0)
	same("in sum", m.Sum, 111, 7, 1, 4)
	same("published is not touched", first, 30, 2, 1)
	same("published is not touched", second, 110, 6, 1, 4)
}
