package store

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A TopRow is one target and what it does now: `viperprobe top --once -o json` and
// /api/top are arrays of it.
type TopRow struct {
	Target TopTarget           `json:"target"`
	Values map[string]TopValue `json:"values"` // by family
}

// A TopTarget is what tops show of a target. In rows of a group only what all
// its targets have in common is set.
type TopTarget struct {
	ID        metric.TargetID `json:"id"`
	Node      string          `json:"node"`
	Namespace string          `json:"namespace"`
	Pod       string          `json:"pod"`
	Container string          `json:"container"`
	Workload  string          `json:"workload"`
	Cgroup    string          `json:"cgroup"`
	Name      string          `json:"name"`    // of the target or group
	Kind      string          `json:"kind"`    // container, service, cgroup, node, remainder
	Pattern   string          `json:"pattern"` // "" when it is none
}

// A TopValue is one family in the last window, summed over its label values and
// in base units: a counter per second, a gauge as it is, a histogram.
type TopValue struct {
	Value float64
	Hist  *TopHist // histograms only
}

// A TopHist is a histogram in the last window. Quantiles are NaN, null in JSON,
// when nothing was observed.
type TopHist struct{ Count, Sum, P50, P90, P99 float64 }

// MarshalJSON writes a number, or an object for a histogram.
func (v TopValue) MarshalJSON() ([]byte, error) {
	if v.Hist == nil {
		return json.Marshal(v.Value)
	}
	orNull := func(f float64) *float64 {
		if math.IsNaN(f) {
			return nil
		}
		return &f
	}
	return json.Marshal(struct {
		Count float64  `json:"count"`
		Sum   float64  `json:"sum"`
		P50   *float64 `json:"p50"`
		P90   *float64 `json:"p90"`
		P99   *float64 `json:"p99"`
	}{v.Hist.Count, v.Hist.Sum, orNull(v.Hist.P50), orNull(v.Hist.P90), orNull(v.Hist.P99)})
}

// A topGroup sums what one row shows.
type topGroup struct {
	target  TopTarget
	window  time.Duration // of the batch
	numbers map[*metric.Family]float64
	hists   map[*metric.Family]*metric.Hist
}

// Top is the last window of every live target, or of every group of them, sorted
// by name.
func (v *View) Top(by Grouping) []TopRow {
	type key struct {
		name string
		id   metric.TargetID
	}
	groups := map[key]*topGroup{}
	for _, b := range v.Batches {
		for i := range b.Groups {
			g := &b.Groups[i]
			if g.Last {
				continue
			}
			k := key{name: Group(g.Target, by)}
			if by == "" || by == ByTarget {
				k.id = g.Target.ID
			}
			if groups[k] == nil {
				groups[k] = &topGroup{
					target: topTarget(g.Target, k.name), window: b.End.Sub(b.Start),
					numbers: map[*metric.Family]float64{}, hists: map[*metric.Family]*metric.Hist{},
				}
			} else {
				groups[k].target.meet(topTarget(g.Target, k.name))
			}
			groups[k].add(g.Samples)
		}
	}
	rows := make([]TopRow, 0, len(groups))
	for _, g := range groups {
		rows = append(rows, g.row())
	}
	slices.SortFunc(rows, func(a, b TopRow) int {
		return cmp.Or(cmp.Compare(a.Target.Name, b.Target.Name), cmp.Compare(a.Target.ID, b.Target.ID))
	})
	return rows
}

func (g *topGroup) add(samples []metric.Sample) {
	for i := range samples {
		s := &samples[i]
		if s.Family.Kind != metric.Histogram {
			g.numbers[s.Family] += float64(s.Value)
			continue
		}
		if g.hists[s.Family] == nil {
			g.hists[s.Family] = &metric.Hist{}
		}
		if s.Hist != nil {
			g.hists[s.Family].Add(s.Hist)
		}
	}
}

func (g *topGroup) row() TopRow {
	row := TopRow{Target: g.target, Values: map[string]TopValue{}}
	for f, n := range g.numbers {
		n /= f.Scale()
		if f.Kind == metric.Counter {
			n /= max(g.window.Seconds(), 1e-3)
		}
		row.Values[f.Name] = TopValue{Value: n}
	}
	for f, h := range g.hists {
		row.Values[f.Name] = TopValue{Hist: &TopHist{
			Count: float64(h.Count()), Sum: float64(h.Sum) / f.Scale(),
			P50: h.Quantile(f.Unit, .5), P90: h.Quantile(f.Unit, .9), P99: h.Quantile(f.Unit, .99),
		}}
	}
	return row
}

func topTarget(t *metric.Target, name string) TopTarget {
	return TopTarget{
		ID: t.ID, Node: t.Node, Namespace: t.Namespace, Pod: t.Pod, Container: t.Container, Workload: t.Workload,
		Cgroup: t.Cgroup, Name: name, Kind: string(t.Kind), Pattern: t.Pattern,
	}
}

// meet keeps what t and o have in common.
func (t *TopTarget) meet(o TopTarget) {
	same := func(a *string, b string) {
		if *a != b {
			*a = ""
		}
	}
	if t.ID != o.ID {
		t.ID = ""
	}
	same(&t.Node, o.Node)
	same(&t.Namespace, o.Namespace)
	same(&t.Pod, o.Pod)
	same(&t.Container, o.Container)
	same(&t.Workload, o.Workload)
	same(&t.Cgroup, o.Cgroup)
	same(&t.Kind, o.Kind)
	same(&t.Pattern, o.Pattern)
}
