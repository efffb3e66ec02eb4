// Package codec writes batches for other programs to read.
package codec

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A jsonBatch is one line: the window, then each target with its samples. Values
// are in base units (seconds, bytes).
type jsonBatch struct {
	Node       string      `json:"node"`
	Epoch      int64       `json:"epoch"`
	Seq        uint64      `json:"seq"`
	Generation int64       `json:"generation"`
	Slot       time.Time   `json:"slot"`
	Start      time.Time   `json:"start"`
	End        time.Time   `json:"end"`
	Interval   float64     `json:"interval"`
	Partial    bool        `json:"partial"`
	Faults     []string    `json:"faults,omitempty"`
	Groups     []jsonGroup `json:"groups"`
}

type jsonGroup struct {
	Target  *metric.Target `json:"target"`
	Last    bool           `json:"last,omitempty"`
	Samples []jsonSample   `json:"samples"`
}

type jsonSample struct {
	Family  string            `json:"family"`
	Labels  map[string]string `json:"labels,omitempty"`
	Value   *float64          `json:"value,omitempty"` // counter: increase; gauge: last
	Max     *float64          `json:"max,omitempty"`   // gauge
	Total   *float64          `json:"total,omitempty"` // counter
	Ratio   float64           `json:"ratio"`
	Count   *uint64           `json:"count,omitempty"` // histogram, of the window
	Sum     *float64          `json:"sum,omitempty"`
	Buckets [][2]any          `json:"buckets,omitempty"` // [upper bound, count], the bound a number or "+Inf"
}

// WriteJSON writes a batch as one line of JSON.
func WriteJSON(w io.Writer, b *metric.Batch) error {
	out := jsonBatch{
		Node: b.Node, Epoch: b.Epoch, Seq: b.Seq, Generation: b.Generation, Slot: b.Slot, Start: b.Start, End: b.End,
		Interval: b.Interval.Seconds(), Partial: b.Partial, Faults: b.Faults, Groups: make([]jsonGroup, len(b.Groups)),
	}
	for i := range b.Groups {
		g := &b.Groups[i]
		out.Groups[i] = jsonGroup{Target: g.Target, Last: g.Last, Samples: make([]jsonSample, len(g.Samples))}
		for j := range g.Samples {
			out.Groups[i].Samples[j] = sample(&g.Samples[j])
		}
	}
	return json.NewEncoder(w).Encode(out)
}

func sample(m *metric.Sample) jsonSample {
	s := jsonSample{Family: m.Family.Name, Ratio: m.Ratio}
	for i, l := range m.Family.Labels {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[l.Name] = m.Labels[i]
	}
	base := func(v uint64) *float64 { f := float64(v) / m.Family.Scale(); return &f }
	switch m.Family.Kind {
	case metric.Counter:
		s.Value, s.Total = base(m.Value), base(m.Total)
	case metric.Gauge:
		s.Value, s.Max = base(m.Value), base(m.Max)
	case metric.Histogram:
		n := m.Hist.Count()
		s.Count, s.Sum = &n, base(m.Hist.Sum)
		for i, c := range m.Hist.Counts {
			if c > 0 {
				s.Buckets = append(s.Buckets, [2]any{bound(m.Family.Unit, m.Hist.First+i), c})
			}
		}
	}
	return s
}

// bound is the upper bound of a bucket; JSON has no infinity.
func bound(u metric.Unit, i int) any {
	if b := metric.Bound(u, i); !math.IsInf(b, 1) {
		return b
	}
	return "+Inf"
}
