package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// A documentFlags is what analyze is told about the document that it writes.
type documentFlags struct {
	name, workload, image string
	by                    choice
}

func (d *documentFlags) bind(f *flags) {
	d.by = oneOf("service", "pattern")
	f.StringVar(&d.name, "name", "", "name of the document (default: source and task)")
	f.StringVar(&d.workload, "workload", "", "under which the recording was made, for the document (default: those of the runs)")
	f.StringVar(&d.image, "image", "", "of which the recording is, as name:version@digest, for the document")
	f.text(&d.by, "set-by", "key", "whose the sets of the document are: "+strings.Join(d.by.words, ", "))
}

// criticalDocument is the recommended selection as a document that diff and set -f take.
func (a *analyzer) criticalDocument(x *analyzed, families []*metric.Family) ([]byte, error) {
	r := x.best()
	spec := policy.CriticalSpec{Task: string(r.Task), Workload: a.document.workload, Evidence: x.evidence(r)}
	if spec.Workload == "" {
		spec.Workload = strings.Join(workloads(x), ", ")
	}
	if r.CostKnown {
		spec.Cost = &r.Cost
	}
	version, digest := imageParts(a.document.image)
	for _, c := range r.Critical {
		set, err := a.document.key(c)
		if err != nil {
			return nil, fmt.Errorf("write document of %s: %w", x.source, err)
		}
		set.Version, set.Digest = version, digest
		i := slices.IndexFunc(spec.Sets, func(s policy.CriticalSet) bool {
			return s.Pattern == set.Pattern && s.Service == set.Service && s.Namespace == set.Namespace
		})
		if i < 0 {
			i, spec.Sets = len(spec.Sets), append(spec.Sets, set)
		}
		entry := x.entry(c, families)
		if !slices.ContainsFunc(spec.Sets[i].Entries, func(e policy.CriticalEntry) bool {
			return e.Family == entry.Family && e.Statistic == entry.Statistic && e.Label == entry.Label
		}) { // the first is the most telling
			spec.Sets[i].Entries = append(spec.Sets[i].Entries, entry)
		}
	}
	if len(spec.Sets) == 0 {
		return nil, fmt.Errorf("write document of %s: %s selects nothing", x.source, r.Algorithm)
	}
	name := a.document.name
	if name == "" {
		name = objectName(strings.TrimSuffix(filepath.Base(x.source), filepath.Ext(x.source)) + "-" + string(r.Task))
	}
	text, err := policy.WriteCritical(name, spec)
	return append([]byte(criticalHead), text...), err
}

func (x *analyzed) evidence(r analysis.Result) policy.Evidence {
	e := policy.Evidence{Recording: filepath.Base(x.source), Algorithm: r.Algorithm, Seed: x.options.Seed, Runs: len(x.recording.Runs)}
	if s := r.Score; s != nil {
		e.Recall, e.Precision, e.FalsePerHour = brief(s.Recall), brief(s.Precision), brief(s.FalsePerHour)
		e.MedianLead, e.AveragePrecision = brief(s.MedianLead), brief(s.AP)
	}
	return e
}

// brief is a number with the four digits that evidence has; nil for NaN.
func brief(v float64) *float64 {
	if rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64); err == nil {
		v = rounded
	}
	return orNull(v)
}

// key is whose a series is, as an empty set.
func (d *documentFlags) key(c analysis.Critical) (policy.CriticalSet, error) {
	if d.by.value == "pattern" && c.Pattern != "" {
		return policy.CriticalSet{Pattern: c.Pattern}, nil
	}
	if c.Service == "" {
		return policy.CriticalSet{}, fmt.Errorf("%s is of no container, so it cannot be said where to switch it on; call it CONTAINER/%s", c.Name, c.Name)
	}
	if namespace, service, ok := strings.Cut(c.Service, "/"); ok && namespace != "" {
		return policy.CriticalSet{Namespace: namespace, Service: service}, nil
	}
	return policy.CriticalSet{Service: c.Service}, nil
}

func (x *analyzed) entry(c analysis.Critical, families []*metric.Family) policy.CriticalEntry {
	e := policy.CriticalEntry{
		Family: c.Family, Statistic: c.Statistic, Label: c.Label, Window: time.Duration(c.Window * float64(time.Second)), Why: c.Why,
		External: !slices.ContainsFunc(families, func(f *metric.Family) bool { return f.Is(c.Family) }),
	}
	if threshold := brief(c.Threshold); threshold != nil {
		e.Precision, e.Recall = brief(c.Precision), brief(c.Recall)
		if c.Above {
			e.Above = threshold
		} else {
			e.Below = threshold
		}
	}
	if c.Stability > 0 {
		e.Stability = brief(c.Stability)
	}
	if cost, known := x.options.Costs[c.Family]; known {
		e.Cost = &cost
	}
	return e
}

func workloads(x *analyzed) (names []string) {
	for _, r := range x.recording.Runs {
		if r.Workload != "" && !slices.Contains(names, r.Workload) {
			names = append(names, r.Workload)
		}
	}
	return names
}

// imageParts takes version and digest off name:version@digest.
func imageParts(image string) (version, digest string) {
	rest, digest, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		version = rest[i+1:]
	}
	return version, digest
}

var noName = regexp.MustCompile(`[^a-z0-9.]+`)

// objectName makes a name of documents out of any words.
func objectName(words string) string {
	name := strings.Trim(noName.ReplaceAllString(strings.ToLower(words), "-"), "-.")
	if name == "" {
		return "critical"
	}
	return name[:min(len(name), 200)]
}

const criticalHead = "# Written by viperprobe analyze. Look it over, then: viperprobe diff FILE; viperprobe set -f FILE\n"

func (a *analyzer) printCriticalDocument(w io.Writer, x *analyzed, families []*metric.Family) error {
	text, err := a.criticalDocument(x, families)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// writeCritical writes the document to the file of --critical.
func (a *analyzer) writeCritical(x *analyzed, families []*metric.Family) error {
	text, err := a.criticalDocument(x, families)
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.critical, text, 0o644); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}
