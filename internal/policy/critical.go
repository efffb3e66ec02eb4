package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/metric"
)

// CriticalMetrics is what an analysis found to matter, as a document: the sets of some
// services or patterns, for one task. It is in force where a ProbePolicy refers to it,
// or where it is applied live.
type CriticalMetrics struct {
	Name string
	File string
	Line int // of the name
	CriticalSpec
	lines []int // of the sets
}

// A CriticalSpec is the document's spec.
type CriticalSpec struct {
	Task     string        `yaml:"task"`               // what it is for: autoscaling, ...
	Workload string        `yaml:"workload,omitempty"` // under which it was found
	Evidence Evidence      `yaml:"evidence,omitempty"`
	Cost     *float64      `yaml:"cost,omitempty"` // of all of it, in the unit in which costs were given
	Sets     []CriticalSet `yaml:"sets"`
}

// Evidence says where a critical set comes from, and how it did on runs that it had not
// seen.
type Evidence struct {
	Recording        string   `yaml:"recording,omitempty"`
	Algorithm        string   `yaml:"algorithm,omitempty"`
	Seed             uint64   `yaml:"seed,omitempty"`
	Runs             int      `yaml:"runs,omitempty"`
	Recall           *float64 `yaml:"recall,omitempty"`    // of violations
	Precision        *float64 `yaml:"precision,omitempty"` // of alarms
	FalsePerHour     *float64 `yaml:"falseAlarmsPerHour,omitempty"`
	MedianLead       *float64 `yaml:"medianLeadSeconds,omitempty"`
	AveragePrecision *float64 `yaml:"averagePrecision,omitempty"`
}

// A CriticalSet is what matters for one service, or for one pattern.
type CriticalSet struct {
	Pattern   string          `yaml:"pattern,omitempty"`
	Service   string          `yaml:"service,omitempty"` // a workload, or the name or cgroup of a container
	Namespace string          `yaml:"namespace,omitempty"`
	Version   string          `yaml:"version,omitempty"` // it was found with; it selects nothing
	Digest    string          `yaml:"digest,omitempty"`  // of the image; likewise
	Entries   []CriticalEntry `yaml:"entries"`
}

// A CriticalEntry is one statistic of one family, and from where on it means trouble.
type CriticalEntry struct {
	Family    string        `yaml:"family"`
	Statistic string        `yaml:"statistic,omitempty"` // value, rate, p99, ...
	Label     string        `yaml:"label,omitempty"`     // which series of the family; families are switched whole
	External  bool          `yaml:"external,omitempty"`  // it is not ours to switch on
	Window    time.Duration `yaml:"window,omitempty"`    // that the threshold is a mean over
	Above     *float64      `yaml:"above,omitempty"`
	Below     *float64      `yaml:"below,omitempty"`
	Precision *float64      `yaml:"precision,omitempty"` // of the threshold alone
	Recall    *float64      `yaml:"recall,omitempty"`
	Stability *float64      `yaml:"stability,omitempty"` // share of resampled recordings that choose it
	Cost      *float64      `yaml:"cost,omitempty"`
	Why       string        `yaml:"why,omitempty"`
}

type criticalFile struct {
	APIVersion string       `yaml:"apiVersion"`
	Kind       string       `yaml:"kind"`
	Metadata   head         `yaml:"metadata"`
	Spec       CriticalSpec `yaml:"spec"`
}

const criticalKind = "CriticalMetrics"

// tasks are what a critical set may be for.
var tasks = []string{"autoscaling", "diagnosis", "overload", "placement"}

// WriteCritical is the document of a spec, as Parse reads it.
func WriteCritical(name string, spec CriticalSpec) ([]byte, error) {
	return document.Write(criticalFile{APIVersion, criticalKind, head{name}, spec})
}

func (r *reader) readCritical(f File) {
	var w criticalFile
	d, err := document.Parse(f.Name, f.Data, &w, document.Options{Nearest: Nearest})
	if err != nil {
		r.faults = append(r.faults, err)
		return
	}
	r.checkHead(d, criticalKind, w.APIVersion, w.Metadata.Name)
	if !slices.Contains(tasks, w.Spec.Task) {
		r.fault(d, "spec.task", "want %s, have %q", strings.Join(tasks, ", "), w.Spec.Task)
	}
	if len(w.Spec.Sets) == 0 {
		r.fault(d, "spec.sets", "want at least one: what matters for a service or a pattern")
	}
	c := CriticalMetrics{Name: w.Metadata.Name, File: f.Name, Line: d.Line("metadata.name"), CriticalSpec: w.Spec}
	for i := range c.Sets {
		at := fmt.Sprintf("spec.sets[%d]", i)
		c.lines = append(c.lines, d.Line(at))
		r.checkSet(d, at, &c.Sets[i])
		for j := range i {
			if a, b := &c.Sets[i], &c.Sets[j]; a.Pattern == b.Pattern && a.Service == b.Service && a.Namespace == b.Namespace {
				r.fault(d, at, "the set of line %d is of the same; put their entries together", c.lines[j])
			}
		}
	}
	r.critical = append(r.critical, c)
}

func (r *reader) checkSet(d *document.Document, at string, s *CriticalSet) {
	if (s.Pattern == "") == (s.Service == "") {
		r.fault(d, at, "want a service or a pattern, one of them")
	}
	for _, name := range []struct{ key, value string }{{"pattern", s.Pattern}, {"service", s.Service}, {"namespace", s.Namespace}} {
		if wild(name.value) {
			r.fault(d, at+"."+name.key, "want a name, have the glob %q; a ProbePolicy selects by globs", name.value)
		}
	}
	if len(s.Entries) == 0 {
		r.fault(d, at, "want at least one of entries; `viperprobe metrics` lists families")
	}
	for i := range s.Entries {
		r.checkEntry(d, fmt.Sprintf("%s.entries[%d]", at, i), &s.Entries[i])
	}
}

func (r *reader) checkEntry(d *document.Document, at string, e *CriticalEntry) {
	if !e.External {
		i := slices.IndexFunc(r.catalogue, func(f *metric.Family) bool { return f.Is(e.Family) })
		if i < 0 {
			_, err := Resolve([]string{e.Family}, r.catalogue)
			if err == nil {
				err = fmt.Errorf("want one family, have %q, which stands for several", e.Family)
			}
			r.fault(d, at+".family", "%v, or say external: true of what others measure", err)
			return
		}
		e.Family = r.catalogue[i].Name
		if what := badLabel(r.catalogue[i], e.Label); what != "" {
			r.fault(d, at+".label", "%s", what)
		}
	}
	if e.Family == "" {
		r.fault(d, at+".family", "want a name, have nothing")
	}
	if e.Above != nil && e.Below != nil {
		r.fault(d, at, "want above or below, not both")
	}
	for _, x := range []*float64{e.Above, e.Below} {
		if x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) {
			r.fault(d, at, "want a number for a threshold, have %v", *x)
		}
	}
	if e.Window < 0 {
		r.fault(d, at+".window", "want more than 0, have %v", e.Window)
	}
}

// badLabel says why a family has no series of that label, if so. Values that are not known beforehand are not judged.
func badLabel(f *metric.Family, label string) string {
	switch {
	case label == "":
		return ""
	case len(f.Labels) == 0:
		return fmt.Sprintf("%s has no label; leave it out", f.Name)
	case len(f.Labels) == 1 && len(f.Labels[0].Values) > 0 && !slices.Contains(f.Labels[0].Values, label):
		return fmt.Sprintf("want one of %s, have %q", strings.Join(f.Labels[0].Values, ", "), label)
	}
	return ""
}

// Rules switch on exactly the families of each set for the targets that it is of: the
// others go off there. A set of nothing but external entries changes nothing.
func (c *CriticalMetrics) Rules(catalogue []*metric.Family) []Rule {
	var out []Rule
	for _, e := range c.entries(catalogue) {
		out = append(out, Rule{Origin: fmt.Sprintf("%s:%d", c.File, e.Line), Policy: c.Name, Line: e.Line, Select: *e.Select, Wants: e.Wants})
	}
	return out
}

// Families are those that any set switches on, sorted.
func (c *CriticalMetrics) Families() []string {
	names := map[string]bool{}
	for _, s := range c.Sets {
		for _, e := range s.Entries {
			if !e.External {
				names[e.Family] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (c *CriticalMetrics) entries(catalogue []*metric.Family) []Entry {
	var out []Entry
	for i := range c.Sets {
		s := &c.Sets[i]
		var wants []Want
		some := false
		for _, f := range catalogue {
			w := Want{Family: f.Name}
			if slices.ContainsFunc(s.Entries, func(e CriticalEntry) bool { return !e.External && e.Family == f.Name }) {
				w.Ratio, some = 1, true
			}
			wants = append(wants, w)
		}
		if !some {
			continue
		}
		for _, selector := range s.selectors() {
			out = append(out, Entry{Wants: wants, Line: c.lines[i], Select: &selector})
		}
	}
	return out
}

// Letters of the hashes that Kubernetes adds to names.
const (
	hashLetter = "[b-df-hj-np-tv-z0-9]"
	digit      = "[0-9]"
)

// selectors find the targets of a set, each in another way: by workload, by what a
// container is called, or by the names that a workload gives its pods.
func (s *CriticalSet) selectors() []Selector {
	var namespaces []string
	if s.Namespace != "" {
		namespaces = []string{s.Namespace}
	}
	if s.Pattern != "" {
		return []Selector{Selector{Patterns: []string{s.Pattern}, Namespaces: namespaces}.narrow()}
	}
	out := []Selector{{Kinds: named(), Targets: []string{s.Service}, Namespaces: namespaces}}
	if strings.HasPrefix(s.Service, "/") {
		return out
	}
	var pods []string
	for n := 1; n <= 3; n++ {
		pods = append(pods, s.Service+"-"+strings.Repeat(digit, n))
	}
	for n := 6; n <= 10; n++ {
		pods = append(pods, s.Service+"-"+strings.Repeat(hashLetter, n)+"-"+strings.Repeat(hashLetter, 5))
	}
	return append(out,
		Selector{Workloads: []string{s.Service, "*/" + s.Service}, Namespaces: namespaces}.narrow(),
		Selector{Pods: pods, Namespaces: namespaces}.narrow())
}
