package tui

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
)

// By is what rows are: single targets, or targets summed by an attribute.
type By string

// The ways to sum.
const (
	ByTarget    By = "target"
	ByPod       By = "pod"
	ByWorkload  By = "workload"
	ByNamespace By = "namespace"
	ByNode      By = "node"
)

// Bys lists every By, in the order in which the key b goes through them.
var Bys = []By{ByTarget, ByPod, ByWorkload, ByNamespace, ByNode}

// An Identity is what a row's targets have in common; what differs is empty.
type Identity struct {
	ID        metric.TargetID   `json:"id"`
	Node      string            `json:"node"`
	Namespace string            `json:"namespace"`
	Pod       string            `json:"pod"`
	Container string            `json:"container"`
	Workload  string            `json:"workload"`
	Cgroup    string            `json:"cgroup"`
	Kind      metric.TargetKind `json:"kind"`
	Pattern   string            `json:"pattern"`
}

// A Value is one family of one row: a counter's rate per second, a gauge's last
// value, both in base units, or what a histogram saw in the window.
type Value struct {
	Family *metric.Family
	Number float64
	Hist   metric.Hist
}

// A Row is a target, or targets summed, in one window.
type Row struct {
	Target Identity         `json:"target"`
	Values map[string]Value `json:"values"` // by family name
	Name   string           `json:"-"`      // for people
}

// Rows sums the samples of a batch over families' labels and over by: counters
// and gauges are added, histograms merged. Only the families given appear. What the
// node gives holds that of its containers too: by node it stands for their sum, by
// anything else but target it is left out. Rows are sorted by name; those without values are left out.
func Rows(b *metric.Batch, families []*metric.Family, by By) []Row {
	seconds := b.End.Sub(b.Start).Seconds()
	if seconds <= 0 {
		seconds = b.Interval.Seconds()
	}
	wanted := map[string]bool{}
	for _, f := range families {
		wanted[f.Name] = true
	}
	whole := map[string]bool{} // families that the node gives by itself
	for i := range b.Groups {
		if g := &b.Groups[i]; g.Target.Kind == metric.Node && by == ByNode {
			for j := range g.Samples {
				whole[g.Samples[j].Family.Name] = true
			}
		}
	}
	rows := map[string]*Row{}
	for i := range b.Groups {
		switch g := &b.Groups[i]; {
		case g.Target.Kind != metric.Node:
			row(rows, g.Target, by).add(g.Samples, seconds, func(name string) bool { return wanted[name] && !whole[name] })
		case by == ByTarget || by == ByNode:
			row(rows, g.Target, by).add(g.Samples, seconds, func(name string) bool { return wanted[name] })
		}
	}
	out := make([]Row, 0, len(rows))
	for _, r := range rows {
		if len(r.Values) > 0 {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Target.ID, b.Target.ID))
	})
	return out
}

// row is the row that t belongs to.
func row(rows map[string]*Row, t *metric.Target, by By) *Row {
	key, name := string(t.ID), t.Name()
	switch by {
	case ByTarget:
		if t.Container != "" && t.Pod != "" {
			name = t.Namespace + "/" + t.Pod + "/" + t.Container
		}
	case ByPod:
		key, name = t.Namespace+"/"+t.Pod, t.Namespace+"/"+t.Pod
		if t.Pod == "" {
			key, name = "", "(no pod)"
		}
	case ByWorkload:
		key, name = t.Namespace+"/"+t.Workload, t.Namespace+"/"+t.Workload
		if t.Namespace == "" {
			name = t.Workload
		}
		if t.Workload == "" {
			key, name = "", "(no workload)"
		}
	case ByNamespace:
		key, name = t.Namespace, t.Namespace
		if key == "" {
			name = "(no namespace)"
		}
	case ByNode:
		key, name = t.Node, t.Node
	}
	r, ok := rows[key]
	id := Identity{t.ID, t.Node, t.Namespace, t.Pod, t.Container, t.Workload, t.Cgroup, t.Kind, t.Pattern}
	if !ok {
		r = &Row{Target: id, Values: map[string]Value{}, Name: Printable(name)}
		rows[key] = r
		return r
	}
	r.Target.common(id)
	return r
}

func (a *Identity) common(b Identity) {
	keep(&a.ID, b.ID)
	keep(&a.Node, b.Node)
	keep(&a.Namespace, b.Namespace)
	keep(&a.Pod, b.Pod)
	keep(&a.Container, b.Container)
	keep(&a.Workload, b.Workload)
	keep(&a.Cgroup, b.Cgroup)
	keep(&a.Kind, b.Kind)
	keep(&a.Pattern, b.Pattern)
}

func keep[T ~string](a *T, b T) {
	if *a != b {
		*a = ""
	}
}

func (r *Row) add(samples []metric.Sample, seconds float64, wanted func(string) bool) {
	for i := range samples {
		s := &samples[i]
		if !wanted(s.Family.Name) {
			continue
		}
		v := r.Values[s.Family.Name]
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
		r.Values[s.Family.Name] = v
	}
}

// Stat is one number of the value: a quantile of a histogram ("p50", "p90",
// "p99"), else the number itself. NaN when a histogram is empty.
func (v Value) Stat(stat string) float64 {
	if v.Family.Kind != metric.Histogram {
		return v.Number
	}
	return v.Hist.Quantile(v.Family.Unit, quantiles[stat])
}

var quantiles = map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99}

// Sum is the sum of a histogram's observations, in base units.
func (v Value) Sum() float64 { return float64(v.Hist.Sum) / v.Family.Scale() }

// MarshalJSON is a number, or {count, sum, p50, p90, p99} of a histogram's
// window with null for quantiles of nothing.
func (v Value) MarshalJSON() ([]byte, error) {
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
