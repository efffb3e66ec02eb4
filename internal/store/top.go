package store

import (
	"cmp"
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A TopRow is one target, or targets summed, in the last window: `viperprobe top
// --once -o json` and /api/top are arrays of it.
type TopRow struct {
	Target TopTarget           `json:"target"`
	Values map[string]TopValue `json:"values"` // by family name
	Name   string              `json:"-"`      // for people; it comes from containers and may hold anything
}

// A TopTarget is what a row's targets have in common; what differs is empty.
type TopTarget struct {
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

// Top sums the samples of batches, one of each node, over families' labels and
// over by: counters and gauges are added, histograms merged. Only the families given
// appear; nil means all. What the node gives holds that of its containers too: by
// node it stands for their sum, by anything else but target it is left out. Rows
// are sorted by name; those without values are left out.
func Top(batches []*metric.Batch, families []*metric.Family, by Grouping) []TopRow {
	t := topTable{by: cmp.Or(by, ByTarget), rows: map[string]*TopRow{}}
	if families != nil {
		t.wanted = map[string]bool{}
		for _, f := range families {
			t.wanted[f.Name] = true
		}
	}
	for _, b := range batches {
		t.add(b)
	}
	out := make([]TopRow, 0, len(t.rows))
	for _, r := range t.rows {
		if len(r.Values) > 0 {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b TopRow) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Target.ID, b.Target.ID))
	})
	return out
}

type topTable struct {
	by     Grouping
	wanted map[string]bool // by family name; nil: all
	rows   map[string]*TopRow
}

func (t *topTable) add(b *metric.Batch) {
	seconds := b.End.Sub(b.Start).Seconds()
	if seconds <= 0 {
		seconds = b.Interval.Seconds()
	}
	whole := map[string]bool{} // families that the node gives by itself, for the whole machine
	for i := range b.Groups {
		if g := &b.Groups[i]; g.Target.Kind == metric.Node && t.by == ByNode {
			for j := range g.Samples {
				f := g.Samples[j].Family
				whole[f.Name] = f.Owner != metric.OwnerBio // of these it has what is nobody's
			}
		}
	}
	for i := range b.Groups {
		g := &b.Groups[i]
		node := g.Target.Kind == metric.Node
		if node && t.by != ByTarget && t.by != ByNode {
			continue
		}
		r := t.row(g.Target)
		for j := range g.Samples {
			s := &g.Samples[j]
			if name := s.Family.Name; (t.wanted == nil || t.wanted[name]) && (node || !whole[name]) {
				v := r.Values[name]
				v.add(s, seconds)
				r.Values[name] = v
			}
		}
	}
}

// row is the row that x belongs to.
func (t *topTable) row(x *metric.Target) *TopRow {
	key, name := topName(x, t.by)
	r, ok := t.rows[key]
	id := TopTarget{x.ID, x.Node, x.Namespace, x.Pod, x.Container, x.Workload, x.Cgroup, x.Kind, x.Pattern}
	if !ok {
		r = &TopRow{Target: id, Values: map[string]TopValue{}, Name: name}
		t.rows[key] = r
		return r
	}
	r.Target.common(id)
	return r
}

// topName is what x is summed under, and what people call that.
func topName(x *metric.Target, by Grouping) (key, name string) {
	attribute, parent := "", ""
	switch by {
	case ByPod:
		attribute, parent = x.Pod, x.Namespace
	case ByWorkload:
		attribute, parent = x.Workload, x.Namespace
	case ByNamespace:
		attribute = x.Namespace
	case ByPattern:
		attribute = x.Pattern
	case ByNode:
		attribute = x.Node
	default:
		return string(x.ID), x.FullName()
	}
	if attribute == "" {
		return "", "(no " + string(by) + ")"
	}
	return parent + "/" + attribute, joined(parent, attribute)
}

// common keeps what a and b have in common.
func (a *TopTarget) common(b TopTarget) {
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
