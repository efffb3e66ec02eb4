package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

func newMetrics(p parts) *cobra.Command {
	output := oneOf("table", "json", "markdown")
	f, probes := flags{}, ""
	c := &cobra.Command{
		Use:   "metrics [NAME...]",
		Short: "List the metric families, or show one in full",
		Long: `Metrics lists the catalogue: every family with its class, tier, kind and unit. A
name may be a family, one of its aliases, a class or a tier; one family is shown
in full.` + codes(),
		Example: "  viperprobe metrics\n  viperprobe metrics runq_latency\n  viperprobe metrics network -o json",
	}
	f.FlagSet = c.Flags()
	f.output(&output)
	f.probes(&probes)
	c.RunE = func(c *cobra.Command, names []string) error {
		if err := f.err(); err != nil {
			return err
		}
		p, err := p.withProbes(probes)
		if err != nil {
			return usage(err)
		}
		families := p.families
		if len(names) > 0 {
			if families, err = policy.Resolve(names, p.families); err != nil {
				return usage(err)
			}
		}
		w := c.OutOrStdout()
		switch {
		case output.value == "json":
			return writeJSON(w, describe(families))
		case output.value == "markdown":
			return writeMarkdown(w, families)
		case len(names) == 1 && len(families) == 1 && families[0].Is(names[0]):
			return writeFamily(w, families[0])
		}
		return writeFamilies(w, families)
	}
	return c
}

// A description is a family as `metrics -o json` prints it.
type description struct {
	Name        string              `json:"name"`
	Class       metric.Class        `json:"class"`
	Tier        metric.Tier         `json:"tier"`
	Kind        metric.Kind         `json:"kind"`
	Unit        metric.Unit         `json:"unit"`
	Labels      []string            `json:"labels"`
	LabelValues map[string][]string `json:"label_values,omitempty"` // of labels with a fixed set
	Owner       metric.Owner        `json:"owner"`
	Aliases     []string            `json:"aliases"`
	Hooks       []string            `json:"hooks"`
	Help        string              `json:"help"`
	Source      string              `json:"source"`
	Kernel      string              `json:"kernel,omitempty"`
	Prometheus  string              `json:"prometheus"`
	CostClass   metric.CostClass    `json:"cost_class,omitempty"`   // by the measured price at the reference load
	CostNs      float64             `json:"ns_per_event,omitempty"` // measured
	CostEach    string              `json:"event,omitempty"`        // what an event is
	CostRate    float64             `json:"reference_rate,omitempty"`
	OnDemand    bool                `json:"on_demand"` // not among the families that are measured by default
	Sampling    bool                `json:"sampling"`  // a share of its events may stand for all
}

func describe(families []*metric.Family) []description {
	out := []description{}
	for _, f := range families {
		d := description{
			Name: f.Name, Class: f.Class, Tier: f.Tier, Kind: f.Kind, Unit: f.Unit, Owner: f.Owner, Labels: []string{},
			Aliases: append([]string{}, f.Aliases...), Hooks: hooks(f), Help: f.Help, Source: f.Source, Kernel: f.Kernel, Prometheus: f.PromName(), OnDemand: f.OnDemand,
			CostClass: f.CostClass(), CostNs: f.CostNs, CostEach: f.CostEach, CostRate: f.CostRate,
			Sampling: f.Unsampled() == "",
		}
		for _, l := range f.Labels {
			d.Labels = append(d.Labels, l.Name)
			if l.Values != nil {
				if d.LabelValues == nil {
					d.LabelValues = map[string][]string{}
				}
				d.LabelValues[l.Name] = l.Values
			}
		}
		out = append(out, d)
	}
	return out
}

// hooks are the programs of all rungs, best first, each once.
func hooks(f *metric.Family) []string {
	out := []string{}
	for _, rung := range f.Rungs {
		for _, h := range rung {
			if !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	return out
}

func labelNames(f *metric.Family) string {
	names := make([]string, len(f.Labels))
	for i, l := range f.Labels {
		names[i] = l.Name
	}
	return strings.Join(names, ", ")
}

func unitName(u metric.Unit) string {
	if name, ok := map[metric.Unit]string{metric.Seconds: "seconds", metric.Bytes: "bytes", metric.One: ""}[u]; ok {
		return name
	}
	return string(u)
}

func writeFamilies(w io.Writer, families []*metric.Family) error {
	t := newTable(w, "FAMILY", "CLASS", "TIER", "KIND", "UNIT", "LABELS", "COST", "WHAT")
	for _, f := range families {
		t.row(f.Name, string(f.Class), string(f.Tier), string(f.Kind), unitName(f.Unit), labelNames(f), string(f.CostClass()), clip(f.Help, 60))
	}
	return t.flush()
}

// writeFamily prints everything that is known about one family.
func writeFamily(w io.Writer, f *metric.Family) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", f.Name, wrap(f.Help, "  ", 80))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-11s %s\n", name, value)
		}
	}
	line("class", string(f.Class))
	line("tier", string(f.Tier)+": "+tierHelp[f.Tier])
	kind := string(f.Kind)
	if u := unitName(f.Unit); u != "" {
		kind += " of " + u
	}
	line("kind", kind)
	for _, l := range f.Labels {
		values := strings.Join(l.Values, ", ")
		if l.Values == nil {
			values = "found at run time"
		}
		line("label", l.Name+": "+values)
	}
	line("owner", string(f.Owner))
	line("aliases", strings.Join(f.Aliases, ", "))
	line("prometheus", f.PromName())
	line("source", f.Source)
	for i, rung := range f.Rungs {
		name := "hooks"
		if i > 0 {
			name = "or else"
		}
		line(name, strings.Join(rung, ", "))
	}
	if f.CostNs > 0 {
		line("cost", fmt.Sprintf("%s: %.0f ns per %s, %.3g %% of a CPU at %.6g a second", f.CostClass(), f.CostNs, f.CostEach, f.CostShare()*100, f.CostRate))
	}
	if f.OnDemand {
		line("on demand", "measured only when it is named: --families "+f.Name)
	}
	switch why := f.Unsampled(); {
	case why == "":
		line("sampling", "a share of its events may be asked for: ratio 0.1")
	case f.Tier == metric.Event:
		line("sampling", "none: "+why)
	}
	if f.Kernel != "" {
		line("kernel", f.Kernel+" or newer")
	}
	reasons := map[string][]string{}
	for _, kernel := range verified {
		if why := f.Lacks[kernel]; why != "" {
			reasons[why] = append(reasons[why], kernel)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		line("not tested", "on "+strings.Join(reasons[why], ", ")+": "+why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var tierHelp = map[metric.Tier]string{
	metric.File:     "cgroup files and PSI, a cost per read; of a target that sleeps (no task ran or waited for IO for 3 windows) read every tenth window, where the snapshot tier is on",
	metric.Snapshot: "what the kernel already counts, a cost per read",
	metric.Event:    "programs on tracepoints and functions, a cost per event",
	metric.App:      "probes in the application",
	metric.Self:     "what ViperProbe itself costs, always reported",
}

// writeMarkdown prints docs/metrics.md.
func writeMarkdown(w io.Writer, families []*metric.Family) error {
	var b strings.Builder
	b.WriteString("<!-- Generated by `viperprobe metrics -o markdown`. DO NOT EDIT. -->\n\n# Metric families\n\n")
	fmt.Fprintf(&b, "%d families. Their cost depends on the tier:\n\n", len(families))
	for _, t := range []metric.Tier{metric.File, metric.Snapshot, metric.Event, metric.App, metric.Self} {
		fmt.Fprintf(&b, "- *%s*: %s\n", t, tierHelp[t])
	}
	fmt.Fprintf(&b, `
The column cost is the class by the measured price of an event (`+"`catalogue/prices.csv`, `make prices`"+`) at a reference load: a node
of 8 CPUs, half busy with 100 containers of web services. A family that takes at most %g %% of one CPU there is *always-on*, at
most %g %% *on demand*, and more is for *short windows*.
`, metric.AlwaysOnShare*100, metric.OnDemandShare*100)
	for _, class := range metric.Classes {
		written := false
		for _, f := range families {
			if f.Class != class {
				continue
			}
			if !written {
				fmt.Fprintf(&b, "\n## %s\n\n| family | on /metrics | kind | labels | tier | owner | cost | what |\n|---|---|---|---|---|---|---|---|\n", class)
				written = true
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s | %s | %s |\n", f.Name, f.PromName(), f.Kind, labelNames(f), f.Tier, f.Owner, f.CostClass(), cell(f))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell is the last column of a family's row.
func cell(f *metric.Family) string {
	text := f.Help
	if f.OnDemand {
		text += " *On demand*: measured only when it is named."
	}
	if f.Unsampled() == "" {
		text += " It may be sampled."
	}
	if len(f.Aliases) > 0 {
		text += " Also called `" + strings.Join(f.Aliases, "`, `") + "`."
	}
	return strings.ReplaceAll(text, "|", `\|`)
}
