package control

import (
	"slices"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// An Explanation says which rule decides about each family of a target.
type Explanation struct {
	Target  *metric.Target  `json:"target"`
	Reasons []policy.Reason `json:"reasons"`
	// Unjudged are policies that select by labels, of which nobody knows whether they mean
	// the target: its labels are unknown.
	Unjudged []string `json:"unjudged,omitempty"`
}

// Explain explains the targets of which a name matches glob (see policy.Named).
func (c *Controller) Explain(glob string) ([]Explanation, error) {
	if err := policy.CheckGlob(glob); err != nil {
		return nil, &RefusedError{err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	targets, err := c.targets()
	if err != nil {
		return nil, err
	}
	out, refused := []Explanation{}, c.engine.Refused()
	for _, t := range targets {
		if !policy.Named(t, glob) {
			continue
		}
		reasons := c.govern(c.plan.Explain(t, time.Now()))
		for i := range reasons {
			if r := &reasons[i]; r.Ratio > 0 {
				r.Unsupported = refused[r.Family]
			}
		}
		out = append(out, Explanation{t, reasons, c.plan.Unjudged(t, time.Now())})
	}
	return out, nil
}

func (c *Controller) targets() ([]*metric.Target, error) {
	if c.engine == nil {
		return nil, ErrNotStarted
	}
	targets, err := c.engine.Targets()
	slices.SortStableFunc(targets, func(a, b *metric.Target) int { return strings.Compare(a.Cgroup, b.Cgroup) })
	return targets, err
}

// A Difference is what would change for one target.
type Difference struct {
	Target *metric.Target `json:"target"`
	On     []string       `json:"on"`     // families
	Off    []string       `json:"off"`    // families
	Ratios []Ratio        `json:"ratios"` // of families that are sampled otherwise than before
	Labels []Series       `json:"labels"` // of families that are told in other series than before
}

// A Ratio is the share of a family's events at which would be looked.
type Ratio struct {
	Family string  `json:"family"`
	Ratio  float64 `json:"ratio"`
}

// A Series says in which series a family would be told; no labels: in all that it has.
type Series struct {
	Family string        `json:"family"`
	Labels policy.Labels `json:"labels"`
}

// Diff tells what documents would change for the targets of now, if they were there in
// place of those of the same kind and name, or beside the others. New patterns are
// checked, but nothing is recognised by them before they are in force. Of a document of
// kind CriticalMetrics it tells what SetCritical would change.
func (c *Controller) Diff(files []policy.File) ([]Difference, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	documents, err := policy.Parse(policy.Supersede(c.files, files), c.families)
	if err != nil {
		return nil, &RefusedError{err}
	}
	targets, err := c.targets()
	if err != nil {
		return nil, err
	}
	wishes, now := c.wishes, time.Now()
	wishes.Documents = documents
	wishes.Live = slices.Clone(wishes.Live)
	for i := range documents.Critical {
		if d := &documents.Critical[i]; slices.ContainsFunc(files, func(f policy.File) bool { return f.Name == d.File }) {
			wishes.Live = append(wishes.Live, d.Rules(c.families)...)
		}
	}
	plan := policy.Make(wishes, c.generation, now)
	out := []Difference{}
	for _, t := range targets {
		before, after := c.plan.For(t, now), plan.For(t, now)
		d := Difference{t, []string{}, []string{}, []Ratio{}, []Series{}}
		for _, f := range c.families {
			old, was := before[f.Name]
			w, is := after[f.Name]
			if is && !was {
				d.On = append(d.On, f.Name)
			} else if was && !is {
				d.Off = append(d.Off, f.Name)
			}
			if is && (was && w.Ratio != old.Ratio || !was && w.Ratio < 1) {
				d.Ratios = append(d.Ratios, Ratio{f.Name, w.Ratio})
			}
			if is && !w.Labels.Equal(old.Labels) {
				d.Labels = append(d.Labels, Series{f.Name, w.Labels})
			}
		}
		if len(d.On)+len(d.Off)+len(d.Ratios)+len(d.Labels) > 0 {
			out = append(out, d)
		}
	}
	return out, nil
}
