package store

import (
	"math"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// sampledRows: estimates are stored as values, so that rates are right, and rows tell
// the ratio of what they sum and its standard error.
func sampledRows(t *testing.T, e engine) {
	sent, _, runq, _ := families()
	sent.Unit = metric.One // it counts events here
	sample := func(f *metric.Family, v, total uint64, ratio float64) metric.Sample {
		s := counter(f, v, total)
		s.Ratio = ratio
		return s
	}
	hist := metric.Hist{Sum: 10e6, First: 40, Counts: []uint64{100}}
	sum := hist
	sum.Add(&hist)
	put(t, e,
		batchAt(1, one(container("a"), sample(sent, 100, 100, 1)), one(container("b"), sample(sent, 100, 100, 1))),
		batchAt(2, one(container("a"), sample(sent, 400, 500, 0.25), metric.Sample{Family: runq, Hist: &hist, Sum: &hist, Ratio: 0.1}), one(container("b"), sample(sent, 100, 200, 1))),
		batchAt(3, one(container("a"), sample(sent, 0, 500, 0.5), metric.Sample{Family: runq, Hist: &hist, Sum: &sum, Ratio: 1}), one(container("b"), sample(sent, 100, 300, 1))))
	type told struct{ value, ratio, deviation float64 }
	check := func(what string, q Query, want []told) {
		t.Helper()
		got := rows(t, e, q)
		if len(got) != len(want) {
			t.Fatalf("%s: %d rows: %+v", what, len(got), got)
		}
		for i, r := range got {
			if r.Value+r.Count != want[i].value || math.Abs(r.Ratio-want[i].ratio) > 1e-9 || math.Abs(r.Error-want[i].deviation) > 1e-9 {
				t.Errorf("%s, row %d: %v of ratio %v ± %v, want %+v", what, i, r.Value+r.Count, r.Ratio, r.Error, want[i])
			}
		}
	}
	check("a counter", Query{Family: sent, Target: "a", Rate: true}, []told{{100, 0, 0}, {400, 0.25, math.Sqrt(400 * 3)}, {0, 0.5, 0}})
	check("a sum over targets", Query{Family: sent, By: ByNode, Rate: true}, []told{{200, 0, 0}, {500, 200.0 / 500, math.Sqrt(400 * 3)}, {100, 0, 0}})
	check("in steps", Query{Family: sent, Target: "a", Rate: true, Step: 4 * time.Second}, []told{{125, 200.0 / 500, math.Sqrt(400*3) / 4}})
	check("a histogram", Query{Family: runq}, []told{{100, 0.1, math.Sqrt(100 * 9)}, {100, 0, 0}})
}

// The ratio is a series of its own for each family that was ever sampled, and ends
// with its target.
func TestRatioIsASeries(t *testing.T) {
	sent, used, _, _ := families()
	s := openStore(t, Options{})
	half := counter(sent, 10, 10)
	half.Ratio = 0.5
	put(t, s, batchAt(1, one(container("a"), half, metric.Sample{Family: used, Value: 1, Ratio: 1})))
	if got := ask(t, &s.Reader, 1, "viperprobe_sample_ratio"); strings.Count(got, "=>") != 1 || !strings.Contains(got, `family="`+sent.Name+`"`) || !strings.Contains(got, `container="a"`) || !strings.Contains(got, "=> 0.5") {
		t.Errorf("series: %s", got)
	}
	put(t, s, batchAt(2, one(container("a"), counter(sent, 10, 20))))
	if got := ask(t, &s.Reader, 2, "viperprobe_sample_ratio"); !strings.Contains(got, "=> 1 ") {
		t.Errorf("after sampling: %s", got)
	}
	live := s.cache.live
	put(t, s, batchAt(3, metric.Group{Target: container("a"), Samples: []metric.Sample{half}, Last: true}))
	if got := ask(t, &s.Reader, 4, "viperprobe_sample_ratio"); got != "" {
		t.Errorf("after the end: %s", got)
	}
	if s.cache.live != 0 || live != 3 {
		t.Errorf("%d live series with the target, %d after it", live, s.cache.live)
	}
}

// No more ratios than there may be series.
func TestRatiosAreBounded(t *testing.T) {
	sent, _, _, _ := families()
	s := openStore(t, Options{MaxSeries: 1})
	half := counter(sent, 10, 10)
	half.Ratio = 0.5
	put(t, s, batchAt(1, one(container("a"), half)))
	if got := ask(t, &s.Reader, 1, "viperprobe_sample_ratio"); got != "" {
		t.Errorf("over the cap: %s", got)
	}
}
