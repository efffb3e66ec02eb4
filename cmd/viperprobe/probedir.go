package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// maxObject bounds a person's own object: ours have 50 kB.
const maxObject = 4 << 20

// A probeFile is one *.yaml of --probe-dir: rows for the objects beside it.
type probeFile struct {
	Families []probeRow `yaml:"families"`
}

// A probeRow is metric.Family as a person writes it.
type probeRow struct {
	Name    string     `yaml:"name"`
	Help    string     `yaml:"help"`
	Class   string     `yaml:"class"`
	Tier    string     `yaml:"tier"`
	Kind    string     `yaml:"kind"`
	Unit    string     `yaml:"unit"`
	Owner   string     `yaml:"owner"`
	Aliases []string   `yaml:"aliases"`
	Source  string     `yaml:"source"`
	Object  string     `yaml:"object"`
	Cell    string     `yaml:"cell"`
	Rungs   [][]string `yaml:"rungs"`
	Kernel  string     `yaml:"kernel"`
	PerCPU  bool       `yaml:"per-cpu"`
	Sampled bool       `yaml:"sampled"`
	Labels  []struct {
		Name   string   `yaml:"name"`
		Values []string `yaml:"values"`
	} `yaml:"labels"`
}

// withProbes adds the families of dir to the catalogue; "" adds none. All faults
// of all files come back together.
func (p parts) withProbes(dir string) (parts, error) {
	if dir == "" {
		return p, nil
	}
	if _, err := os.ReadDir(dir); err != nil {
		return p, fmt.Errorf("--probe-dir: want a directory: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return p, fmt.Errorf("--probe-dir: %s has no *.yaml with rows", dir)
	}
	own := map[string][]byte{}
	more := slices.Clone(p.families)
	var faults []error
	for _, file := range files {
		var content probeFile
		d, err := document.Read(file, &content, document.Options{Nearest: policy.Nearest})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for i, row := range content.Families {
			r := rowReader{d: d, key: fmt.Sprintf("families[%d]", i), row: row, object: p.object}
			f := r.family(more)
			r.load(dir, own)
			if faults = append(faults, r.faults...); len(r.faults) == 0 {
				more = append(more, f)
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return p, err
	}
	ours := p.object
	p.families, p.object = more, func(name string) ([]byte, error) {
		if b, ok := own[name]; ok {
			return b, nil
		}
		return ours(name)
	}
	return p, nil
}

// A rowReader turns one row into a family and collects what is wrong with it.
type rowReader struct {
	d      *document.Document
	key    string
	row    probeRow
	object func(string) ([]byte, error) // of the catalogue
	faults []error
}

func (r *rowReader) fault(field, format string, args ...any) {
	key := r.key + "." + field
	if r.d.Line(key) == 0 { // it is not there: the row is at fault
		format, key = field+": "+format, r.key
	}
	r.faults = append(r.faults, r.d.Fault(key, fmt.Sprintf(format, args...)))
}

var familyName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,59}$`)

// maxCells bounds label values: each is a cell, or a histogram, of every target.
const maxCells = 64

func (r *rowReader) family(others []*metric.Family) *metric.Family {
	w := &r.row
	f := &metric.Family{
		Name: w.Name, Help: w.Help, Aliases: w.Aliases, Source: w.Source, Object: w.Object, Cell: w.Cell, Rungs: w.Rungs,
		Kernel: w.Kernel, PerCPU: w.PerCPU,
		Class: oneWord(r, "class", w.Class, metric.Classes...),
		Tier:  oneWord(r, "tier", w.Tier, metric.Event, metric.Snapshot),
		Kind:  oneWord(r, "kind", w.Kind, metric.Counter, metric.Gauge, metric.Histogram),
		Unit:  oneWord(r, "unit", w.Unit, metric.Seconds, metric.Bytes, metric.One, metric.Ratio),
		Owner: oneWord(r, "owner", w.Owner, metric.OwnerTask, metric.OwnerSocket, metric.OwnerBio, metric.OwnerMemcg, metric.OwnerCgroup, metric.OwnerNode),
	}
	if w.Sampled {
		f.Sampling = metric.Events
		if f.Tier != metric.Event {
			r.fault("sampled", "want it of the tier event, have %s: %s", f.Tier, f.Unsampled())
		}
	}
	if !familyName.MatchString(w.Name) {
		r.fault("name", "want lower case letters, digits and _, at most 60, have %q", w.Name)
	}
	for _, name := range append([]string{w.Name}, w.Aliases...) {
		if _, err := policy.Resolve([]string{name}, others); err == nil {
			r.fault("name", "%q is taken, by a family, an alias, a class or a tier", name)
		}
	}
	if w.Help == "" {
		r.fault("help", "want a sentence: what is measured, and what is not")
	}
	if len(w.Rungs) == 0 || slices.ContainsFunc(w.Rungs, func(programs []string) bool { return len(programs) == 0 }) {
		r.fault("rungs", "want lists of programs of the object, best first, such as [[my_program]]")
	}
	cells := 1
	for _, l := range w.Labels {
		f.Labels = append(f.Labels, metric.Label{Name: l.Name, Values: l.Values})
		cells *= len(l.Values)
		if !familyName.MatchString(l.Name) {
			r.fault("labels", "want lower case letters, digits and _ as a name, have %q", l.Name)
		}
	}
	if len(w.Labels) > 2 || cells == 0 || cells > maxCells {
		r.fault("labels", "want at most 2 labels, each with values, and at most %d combinations", maxCells)
	}
	return f
}

func oneWord[T ~string](r *rowReader, field, have string, words ...T) T {
	for _, w := range words {
		if have == string(w) {
			return w
		}
	}
	c := choice{words: make([]string, len(words))}
	for i, w := range words {
		c.words[i] = string(w)
	}
	r.fault(field, "%v", c.UnmarshalText([]byte(have)))
	return ""
}

// load reads the row's object into own, once.
func (r *rowReader) load(dir string, own map[string][]byte) {
	name := r.row.Object
	if own[name] != nil {
		return
	}
	if !familyName.MatchString(name) {
		r.fault("object", "want the name of an object file beside the rows, without .o, have %q", name)
		return
	}
	if _, err := r.object(name); err == nil {
		r.fault("object", "%q is an object of ViperProbe; choose another name", name)
		return
	}
	path := filepath.Join(dir, name+".o")
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxObject {
		err = fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), maxObject)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		r.fault("object", "%v", err)
		return
	}
	own[name] = b
}
