package store

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Names of the series that are not families.
const (
	InfoName     = "viperprobe_target_info"
	SequenceName = "viperprobe_batch_sequence"
	GapName      = "viperprobe_gap_seconds"
	RatioName    = "viperprobe_sample_ratio"
)

// Other is the label value that stands for everything over a cap.
const Other = "other"

// A Pair is one label of a target or series.
type Pair struct{ Name, Value string }

// PublicLabels are the labels by which people know a target, without empty
// ones: namespace, pod, container and node; cgroup for what has no container
// name; kind for the node itself and the remainder, which have neither. A
// service's unit is its container. Two targets can have the same (a restarted
// container of a pod).
func PublicLabels(t *metric.Target) []Pair {
	ps := make([]Pair, 0, 5)
	add := func(name, value string) {
		if value != "" {
			ps = append(ps, Pair{name, printable(value)})
		}
	}
	add("namespace", t.Namespace)
	add("pod", t.Pod)
	add("container", t.Container)
	add("node", t.Node)
	switch {
	case t.Kind == metric.Node || t.Kind == metric.Remainder:
		add("kind", string(t.Kind))
	case t.Container == "":
		add("cgroup", t.Cgroup)
	}
	return ps
}

// InfoLabels are all labels of viperprobe_target_info, without empty ones.
func InfoLabels(t *metric.Target) []Pair {
	ps := make([]Pair, 0, 14)
	for _, p := range []Pair{
		{"target", string(t.ID)}, {"kind", string(t.Kind)}, {"node", t.Node}, {"namespace", t.Namespace},
		{"pod", t.Pod}, {"container", t.Container}, {"workload", t.Workload}, {"pattern", t.Pattern},
		{"image", t.Image}, {"uid", t.PodUID}, {"runtime", t.Runtime}, {"id", t.ContainerID},
		{"cgroup", t.Cgroup}, {"name_source", t.NameSource},
	} {
		if p.Value != "" {
			ps = append(ps, Pair{p.Name, printable(p.Value)})
		}
	}
	return ps
}

// printable makes s a label value: names come from files, and a value that is not
// UTF-8 costs a whole scrape.
func printable(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func build(name string, pairs ...Pair) labels.Labels {
	b := labels.NewScratchBuilder(len(pairs) + 1)
	b.Add(model.MetricNameLabel, name)
	for _, p := range pairs {
		if p.Value != "" {
			b.Add(p.Name, p.Value)
		}
	}
	b.Sort()
	return b.Labels()
}

// seriesLabels are those of one series: the target's, its id, the family's own.
// Where the family has a label that the target has as well, the family's wins.
func seriesLabels(name string, base []Pair, f *metric.Family, values [2]string) labels.Labels {
	pairs := make([]Pair, 0, len(base)+2)
	for _, p := range base {
		if !hasLabel(f, p.Name) {
			pairs = append(pairs, p)
		}
	}
	for i := range f.Labels {
		pairs = append(pairs, Pair{f.Labels[i].Name, printable(values[i])})
	}
	return build(name, pairs...)
}

func hasLabel(f *metric.Family, name string) bool {
	for i := range f.Labels {
		if f.Labels[i].Name == name {
			return true
		}
	}
	return false
}
