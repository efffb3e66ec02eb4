package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/metric"
)

// APIVersion is that of all documents.
const APIVersion = "viperprobe.dev/v1alpha1"

// Bounds of the windows that a policy may ask for.
const (
	MinInterval = 100 * time.Millisecond
	MaxInterval = time.Hour
)

// A File is a document as it was read.
type File struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// Documents are what people wrote, checked.
type Documents struct {
	Policies []ProbePolicy // in the order of their names
	Patterns []Pattern     // those of the files, then those that come with ViperProbe, in the order in which they are tried
	Critical []CriticalMetrics
}

// A ProbePolicy says which families are wanted of which targets.
type ProbePolicy struct {
	Name     string
	File     string
	Line     int // of the policy's name
	Selector Selector
	Entries  []Entry       // where two speak about one family, the later wins
	Interval time.Duration // 0: whatever others ask for
	Until    time.Time     // zero: for good
	Budget   Budget        // of the whole node
	Probes   []AppProbe    // application probes, beside those of patterns
}

// An Entry switches families on or off.
type Entry struct {
	Wants  []Want
	Line   int
	Select *Selector // of fewer targets than the policy's; nil: of all of them
}

type head struct {
	Name string `yaml:"name"`
}

type policyFile struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   head   `yaml:"metadata"`
	Spec       struct {
		Selector struct {
			Kinds      []string          `yaml:"kinds"`
			Cgroups    []string          `yaml:"cgroups"`
			Namespaces []string          `yaml:"namespaces"`
			Pods       []string          `yaml:"pods"`
			Containers []string          `yaml:"containers"`
			Workloads  []string          `yaml:"workloads"`
			Patterns   []string          `yaml:"patterns"`
			Labels     map[string]string `yaml:"labels"`
		} `yaml:"selector"`
		CriticalSet string          `yaml:"criticalSet"`
		Families    []familyEntry   `yaml:"families"`
		Probes      []appProbeEntry `yaml:"probes"`
		Interval    time.Duration   `yaml:"interval"`
		Until       moment          `yaml:"until"`
		Budget      budgetEntry     `yaml:"budget"`
	} `yaml:"spec"`
}

// A familyEntry is written as a name, or as a mapping with more about it.
type familyEntry struct {
	Name   string   `yaml:"name"`
	Ratio  *float64 `yaml:"ratio"`
	Form   string   `yaml:"form"`
	Labels Labels   `yaml:"labels"`
}

func (e *familyEntry) UnmarshalText(text []byte) error { e.Name = string(text); return nil }

type moment time.Time

func (m *moment) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("want a time such as 2026-12-31T18:00:00Z, have %q", text)
	}
	*m = moment(t)
	return nil
}

// Parse reads documents: files in any order, one document each. The error joins all
// faults of all files, each with file, line and key; the documents are then of no use.
func Parse(files []File, catalogue []*metric.Family) (Documents, error) {
	r := reader{catalogue: catalogue, names: map[string]*document.Document{}}
	shipped, err := Patterns()
	if err != nil {
		return Documents{}, err
	}
	for _, f := range files {
		r.read(f)
	}
	slices.SortFunc(r.policies, func(a, b written) int { return compareNames(a.policy.Name, b.policy.Name) })
	patterns := merge(r.patterns, shipped)
	for i := range r.policies {
		r.refer(&r.policies[i])
		r.checkPatterns(&r.policies[i], patterns)
		for j := range i {
			r.checkOverlap(&r.policies[j], &r.policies[i])
		}
	}
	if err := errors.Join(r.faults...); err != nil {
		return Documents{}, err
	}
	d := Documents{Patterns: patterns, Critical: r.critical}
	for _, w := range r.policies {
		d.Policies = append(d.Policies, w.policy)
	}
	return d, nil
}

type reader struct {
	catalogue []*metric.Family
	names     map[string]*document.Document // by kind and name
	policies  []written
	patterns  []Pattern
	critical  []CriticalMetrics
	faults    []error
}

// A written policy is one with the document that its faults refer to.
type written struct {
	policy   ProbePolicy
	document *document.Document
	critical string // name of the critical set that it refers to
}

func (r *reader) fault(d *document.Document, key, format string, args ...any) {
	r.faults = append(r.faults, d.Fault(key, fmt.Sprintf(format, args...)))
}

func (r *reader) read(f File) {
	switch kind, line := document.Word(f.Data, "kind"); kind {
	case "ProbePolicy", "":
		r.readPolicy(f)
	case "Pattern":
		r.readPattern(f)
	case criticalKind:
		r.readCritical(f)
	default:
		what := fmt.Sprintf("want ProbePolicy, Pattern or CriticalMetrics, have %q", kind)
		r.faults = append(r.faults, &document.Fault{File: f.Name, Line: line, Key: "kind", What: what})
	}
}

func (r *reader) readPolicy(f File) {
	var w policyFile
	d, err := document.Parse(f.Name, f.Data, &w, document.Options{Nearest: Nearest})
	if err != nil {
		r.faults = append(r.faults, err)
		return
	}
	if w.Kind == "" {
		r.fault(d, "kind", "want ProbePolicy, Pattern or CriticalMetrics, have nothing")
	}
	r.checkHead(d, "ProbePolicy", w.APIVersion, w.Metadata.Name)
	s := &w.Spec.Selector
	p := ProbePolicy{
		Name: w.Metadata.Name, File: f.Name, Line: d.Line("metadata.name"), Interval: w.Spec.Interval, Until: time.Time(w.Spec.Until),
		Selector: Selector{Cgroups: s.Cgroups, Namespaces: s.Namespaces, Pods: s.Pods, Containers: s.Containers, Workloads: s.Workloads, Patterns: s.Patterns, Labels: s.Labels},
	}
	for i, k := range s.Kinds {
		if !slices.Contains(Kinds, metric.TargetKind(k)) {
			r.fault(d, fmt.Sprintf("spec.selector.kinds[%d]", i), "want one of %s, have %q", join(Kinds), k)
		}
		p.Selector.Kinds = append(p.Selector.Kinds, metric.TargetKind(k))
	}
	r.checkGlobs(d, &p.Selector)
	p.Selector = p.Selector.narrow()
	if p.Interval != 0 && (p.Interval < MinInterval || p.Interval > MaxInterval) {
		r.fault(d, "spec.interval", "want between %v and 1h, have %v", MinInterval, p.Interval)
	}
	if len(w.Spec.Families)+len(w.Spec.Probes) == 0 && w.Spec.CriticalSet == "" && d.Line("spec.budget") == 0 {
		r.fault(d, "spec.families", "want at least one; `viperprobe metrics` lists them")
	}
	p.Entries, p.Probes = r.entries(d, w.Spec.Families), r.appProbes(d, w.Spec.Probes)
	if len(p.Probes) > 0 {
		p.Entries = append([]Entry{r.appEntry(d)}, p.Entries...)
	}
	p.Budget = r.budget(d, w.Spec.Budget)
	r.policies = append(r.policies, written{p, d, w.Spec.CriticalSet})
}

var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// checkHead checks what all documents begin with.
func (r *reader) checkHead(d *document.Document, kind, version, name string) {
	if version != APIVersion {
		r.fault(d, "apiVersion", "want %s, have %q", APIVersion, version)
	}
	if !objectName.MatchString(name) {
		r.fault(d, "metadata.name", "want lower case letters, digits, - and ., have %q", name)
		return
	}
	if first := r.names[kind+" "+name]; first != nil {
		r.fault(d, "metadata.name", "%s %q is there already, in %s:%d; give one another name", kind, name, first.File, first.Line("metadata.name"))
		return
	}
	r.names[kind+" "+name] = d
}

func (r *reader) checkGlobs(d *document.Document, s *Selector) {
	for _, label := range slices.Sorted(maps.Keys(s.Labels)) {
		at := "spec.selector.labels." + label
		if err := CheckGlob(s.Labels[label]); err != nil {
			r.fault(d, at, "%v", err)
		} else if label == "" {
			r.fault(d, at, "want the name of a label, have nothing")
		}
	}
	for _, key := range s.globs(&metric.Target{}) {
		for i, g := range key.globs {
			at := fmt.Sprintf("spec.selector.%s[%d]", key.key, i)
			if err := CheckGlob(g); err != nil {
				r.fault(d, at, "%v", err)
			} else if key.key == "cgroups" && (g == "" || g[0] != '/') {
				r.fault(d, at, "%q matches nothing: want a path from the root of the cgroup tree, such as /system.slice/**", g)
			} else if g == "" {
				r.fault(d, at, "want a name or a glob, have nothing")
			}
		}
	}
}

func (p *ProbePolicy) origin(line int) string { return fmt.Sprintf("%s:%d", p.File, line) }
