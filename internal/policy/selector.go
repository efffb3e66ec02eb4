package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A Selector matches targets: all of its keys must, and of a key's list one is
// enough; an empty list matches anything. Globs are those of path.Match, except that a
// pattern that ends in "/**" matches the whole tree below its stem.
type Selector struct {
	Kinds      []metric.TargetKind
	Cgroups    []string          // globs on the cgroup path
	Namespaces []string          // globs
	Pods       []string          // globs
	Containers []string          // globs on the container's, or the unit's, name
	Workloads  []string          // globs
	Patterns   []string          // globs
	Labels     map[string]string // globs, by label: all must match; a target whose labels are unknown does not
	Targets    []string          // globs on any of a target's names: see Named
}

// Matches reports whether t is selected. The node and the remainder have no
// names and are only kept out by Kinds and Targets.
func (s *Selector) Matches(t *metric.Target) bool {
	if len(s.Kinds) > 0 && !slices.Contains(s.Kinds, t.Kind) {
		return false
	}
	if len(s.Targets) > 0 && !slices.ContainsFunc(s.Targets, func(g string) bool { return Named(t, g) }) {
		return false
	}
	if t.Kind == metric.Node || t.Kind == metric.Remainder {
		return true
	}
	for _, key := range s.globs(t) {
		if !anyGlob(key.globs, key.value) {
			return false
		}
	}
	return s.labelled(t)
}

// labelled reports whether a target has the labels of s.
func (s *Selector) labelled(t *metric.Target) bool {
	for label, g := range s.Labels {
		if value, ok := t.Labels[label]; !ok || !glob(g, value) {
			return false
		}
	}
	return true
}

// A selection is one key of a selector with the value that it looks at.
type selection struct {
	key   string
	globs []string
	value string
}

// globs is the selector's keys that are globs on one value, the narrowest first.
// The values are those of t, which may be empty.
func (s *Selector) globs(t *metric.Target) []selection {
	return []selection{
		{"pods", s.Pods, t.Pod}, {"containers", s.Containers, t.Container}, {"workloads", s.Workloads, t.Workload},
		{"cgroups", s.Cgroups, t.Cgroup}, {"patterns", s.Patterns, t.Pattern}, {"namespaces", s.Namespaces, t.Namespace},
	}
}

// Named reports whether a glob matches one of a target's names: its id, its name,
// its container, its pod, or the path of its cgroup.
func Named(t *metric.Target, g string) bool {
	return slices.ContainsFunc([]string{string(t.ID), t.Name(), t.Container, t.Pod, t.Cgroup}, func(name string) bool {
		return name != "" && glob(g, name)
	})
}

// Kinds are the words for targets' kinds in a selector.
var Kinds = []metric.TargetKind{metric.Container, metric.Service, metric.Plain, metric.Node, metric.Remainder}

// named are the kinds that have names; a selector by names means these alone.
func named() []metric.TargetKind { return slices.Clone(Kinds[:3]) }

// ParseSelector reads what a person writes in a command: the name of a target, as a
// glob on its id, name, container, pod or cgroup; or key=glob, joined by commas, with
// the keys namespace, pod, container, workload, pattern, cgroup and kind, and label.NAME. A key
// that stands twice matches either; a label stands once.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	if text == "" {
		return s, fmt.Errorf("selector: want a target's name or key=value, have nothing")
	}
	if !strings.Contains(text, "=") {
		s.Targets = []string{text}
		return s, CheckGlob(text)
	}
	lists := map[string]*[]string{
		"namespace": &s.Namespaces, "pod": &s.Pods, "container": &s.Containers, "workload": &s.Workloads,
		"pattern": &s.Patterns, "cgroup": &s.Cgroups,
	}
	words := []string{"namespace", "pod", "container", "workload", "pattern", "cgroup", "kind", "label.NAME"}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		list := lists[key]
		label, labelled := strings.CutPrefix(key, "label.")
		switch {
		case !ok || value == "":
			return s, fmt.Errorf("selector %q: want key=value, have %q", text, part)
		case key == "kind" && slices.Contains(Kinds, metric.TargetKind(value)):
			s.Kinds = append(s.Kinds, metric.TargetKind(value))
		case key == "kind":
			return s, fmt.Errorf("selector %q: kind %q is none of %s", text, value, join(Kinds))
		case labelled:
			if _, twice := s.Labels[label]; twice || label == "" {
				return s, fmt.Errorf("selector %q: want label.NAME=glob once for each label, have %q", text, part)
			}
			if err := CheckGlob(value); err != nil {
				return s, fmt.Errorf("selector %q: %w", text, err)
			}
			if s.Labels == nil {
				s.Labels = map[string]string{}
			}
			s.Labels[label] = value
		case list == nil:
			return s, fmt.Errorf("selector %q: unknown key %q, want one of %s", text, key, strings.Join(words, ", "))
		default:
			if err := CheckGlob(value); err != nil {
				return s, fmt.Errorf("selector %q: %w", text, err)
			}
			*list = append(*list, value)
		}
	}
	return s.narrow(), nil
}

// narrow keeps a selector by names from matching the node, which has none.
func (s Selector) narrow() Selector {
	names := len(s.Labels)
	for _, key := range s.globs(&metric.Target{}) {
		names += len(key.globs)
	}
	if names > 0 && len(s.Kinds) == 0 {
		s.Kinds = named()
	}
	return s
}

func join[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

func anyGlob(globs []string, s string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return glob(g, s) })
}

func glob(g, s string) bool {
	if stem, tree := cutTree(g); tree {
		for ; ; s = path.Dir(s) {
			if ok, _ := path.Match(stem, s); ok {
				return true
			}
			if s == "/" || !strings.Contains(s, "/") {
				return false
			}
		}
	}
	ok, _ := path.Match(g, s)
	return ok
}

func cutTree(g string) (stem string, tree bool) {
	if g == "/**" {
		return "/", true
	}
	if n := len(g) - len("/**"); n > 0 && g[n:] == "/**" {
		return g[:n], true
	}
	return g, false
}

// CheckGlob says what is wrong with a glob.
func CheckGlob(g string) error {
	stem, _ := cutTree(g)
	if _, err := path.Match(stem, ""); err != nil {
		return fmt.Errorf("pattern %q: %w", g, err)
	}
	return nil
}
