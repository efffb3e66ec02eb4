package store

import (
	"github.com/prometheus/prometheus/model/labels"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// joined is a name in its namespace, where that is known.
func joined(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// Group is the name of what t is summed into under by.
func Group(t *metric.Target, by Grouping) string {
	switch {
	case by == ByNode:
		return t.Node
	case by == ByPattern && t.Pattern != "":
		return t.Pattern
	case by == ByPattern:
		return "none"
	case by == ByPod && t.Pod != "":
		return joined(t.Namespace, t.Pod)
	case by == ByNamespace && t.Namespace != "":
		return t.Namespace
	case by == ByWorkload && t.Workload != "":
		return joined(t.Namespace, t.Workload)
	}
	return t.FullName()
}

// MatchTarget reports whether glob matches any of the names by which a person
// may mean t. Globs are those of policies; "" matches everything.
func MatchTarget(glob string, t *metric.Target) bool {
	if glob == "" {
		return true
	}
	for _, name := range []string{t.FullName(), t.Container, t.Pod, t.Cgroup, string(t.ID)} {
		s := policy.Selector{Cgroups: []string{glob}}
		if name != "" && s.Matches(&metric.Target{Cgroup: name}) {
			return true
		}
	}
	return false
}

// targetOf is a target as the labels of one of its series and of its info tell it.
func targetOf(ls, info labels.Labels) *metric.Target {
	t := &metric.Target{
		ID: metric.TargetID(ls.Get("target")), Node: ls.Get("node"), Kind: metric.TargetKind(ls.Get("kind")),
		Namespace: ls.Get("namespace"), Pod: ls.Get("pod"), Container: ls.Get("container"), Cgroup: ls.Get("cgroup"),
		Workload: info.Get("workload"), Pattern: info.Get("pattern"),
	}
	if kind := info.Get("kind"); kind != "" { // on the series it may be a label of the family
		t.Kind = metric.TargetKind(kind)
	}
	if t.Cgroup == "" {
		t.Cgroup = info.Get("cgroup")
	}
	return t
}
