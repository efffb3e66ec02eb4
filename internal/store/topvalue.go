package store

import (
	"encoding/json"
	"math"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A TopValue is one family of one row: a counter's rate per second, a gauge's last
// value, both in base units, or what a histogram saw in the window.
type TopValue struct {
	Family *metric.Family
	Number float64
	Hist   metric.Hist
}

// add adds a sample of a window of that many seconds. The sample is not changed.
func (v *TopValue) add(s *metric.Sample, seconds float64) {
	v.Family = s.Family
	switch {
	case s.Family.Kind == metric.Histogram:
		if s.Hist != nil {
			v.Hist.Add(s.Hist)
		}
	case s.Family.Kind == metric.Counter:
		v.Number += float64(s.Value) / s.Family.Scale() / seconds
	default:
		v.Number += float64(s.Value) / s.Family.Scale()
	}
}

// Stat is one number of the value: a quantile of a histogram ("p50", "p90",
// "p99"), else the number itself. NaN when a histogram is empty.
func (v TopValue) Stat(stat string) float64 {
	if v.Family.Kind != metric.Histogram {
		return v.Number
	}
	return v.Hist.Quantile(v.Family.Unit, map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99}[stat])
}

// Sum is the sum of a histogram's observations, in base units.
func (v TopValue) Sum() float64 { return float64(v.Hist.Sum) / v.Family.Scale() }

// MarshalJSON is a number, or {count, sum, p50, p90, p99} of a histogram's
// window with null for quantiles of nothing.
func (v TopValue) MarshalJSON() ([]byte, error) {
	if v.Family.Kind != metric.Histogram {
		return json.Marshal(v.Number)
	}
	quantile := func(stat string) *float64 {
		if q := v.Stat(stat); !math.IsNaN(q) {
			return &q
		}
		return nil
	}
	return json.Marshal(struct {
		Count uint64   `json:"count"`
		Sum   float64  `json:"sum"`
		P50   *float64 `json:"p50"`
		P90   *float64 `json:"p90"`
		P99   *float64 `json:"p99"`
	}{v.Hist.Count(), v.Sum(), quantile("p50"), quantile("p90"), quantile("p99")})
}
