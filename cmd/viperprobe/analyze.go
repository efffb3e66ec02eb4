package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/recording"
)

// An analyzer is the flags of analyze.
type analyzer struct {
	flags      flags
	output     choice
	algorithms []string
	holdOut    []string
	task       choice
	k, take    int
	seed       uint64
	budget     float64
	slo        []string
	split      string
	step       span
	html       string
	reading    recording.Options
}

// An analyzed recording is what is printed.
type analyzed struct {
	source    string
	recording *recording.Recording
	results   []analysis.Result // in the order in which they were asked for
	failed    []failedAlgorithm
	single    bool // one algorithm was named
}

type failedAlgorithm struct {
	name string
	err  error
}

func newAnalyze(p parts) *cobra.Command {
	a := analyzer{output: oneOf("table", "json"), task: oneOf(words(analysis.Tasks())...)}
	c := &cobra.Command{
		Use:   "analyze SOURCE",
		Short: "Find the few series that matter in a recording",
		Long: `Analyze finds, among recorded series, the few that tell of trouble. SOURCE is a CSV
file or a folder of them.

A file has the header time,NAME,...; time in unix seconds or RFC 3339, optional
columns slo (1: violated), run and workload (what a run's load was like). A name says
whose a series is and what of it: container/family.p99, or as Prometheus writes it,
family{container="web"}. Rows without a value have an empty cell.

With an SLO all algorithms are judged side by side: each selects without some of the
runs, and is asked to predict those. Without one, kshape selects by shape alone.
Algorithms:

` + algorithmHelp() + `
-o json prints, of one --algorithm, {algorithm, k, silhouette, clusters: [{members[],
representative, container}], critical: [{series, why, ...}], ...}; of several, an
array of these.` + codes("3 some algorithm could not do its work"),
		Example: `  viperprobe analyze recording.csv
  viperprobe analyze recording.csv --algorithm kshape --k 3 --seed 1 -o json
  viperprobe analyze recording.csv --slo 'request_latency p99 > 50ms' --split 10m
  viperprobe analyze recording.csv --html report.html`,
		Args: arguments("a SOURCE", 1),
	}
	a.bind(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := a.check(p); err != nil {
			return usage(err)
		}
		out, err := a.analyze(c.Context(), args[0])
		if err != nil {
			return err
		}
		return a.print(c, out, p.families)
	}
	return c
}

func (a *analyzer) bind(c *cobra.Command) {
	a.flags.FlagSet = c.Flags()
	f := &a.flags
	f.StringSliceVar(&a.algorithms, "algorithm", nil, "only these, joined by commas; all (default: all with an SLO, else kshape)")
	f.text(&a.task, "task", "task", "what the set is for: "+strings.Join(a.task.words, ", "))
	f.IntVar(&a.k, "k", 0, "clusters in each container (default: by silhouette)")
	f.IntVar(&a.take, "count", 0, "series that correlation and mrmr take (default 3)")
	f.Uint64Var(&a.seed, "seed", 0, "of everything random; results depend on it, never on the number of cores")
	f.StringArrayVar(&a.slo, "slo", nil, "a row is a violation where this is true, such as 'request_latency p99 > 50ms'; may be repeated: any (default: column slo)")
	f.StringVar(&a.split, "split", "", "runs: none, file (each of a folder), gap, gap=30s, or their length, such as 10m (default: column run, else gap)")
	f.text(&a.step, "step", "duration", "time between rows (default: that of the samples)")
	f.Lookup("step").DefValue = ""
	f.StringSliceVar(&a.holdOut, "hold-out", nil, "runs that nothing is learnt from, to judge by (default: every workload, or run, in turn)")
	f.Float64Var(&a.budget, "budget", 0, "most that a selection may cost (default: no limit)")
	f.StringVar(&a.html, "html", "", "write a report with plots to this file, too")
	f.output(&a.output)
}

// check is every fault of the command line.
func (a *analyzer) check(p parts) error {
	faults := a.flags.faults
	var names []string
	for _, x := range analysis.Algorithms() {
		names = append(names, x.Name)
	}
	for _, name := range a.algorithms {
		if name != "all" && !slices.Contains(names, name) {
			hint := "use all, " + strings.Join(names, ", ")
			if near := policy.Nearest(name, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			faults = append(faults, fmt.Errorf("--algorithm: unknown algorithm %q; %s", name, hint))
		}
	}
	if a.k < 0 || a.k == 1 {
		faults = append(faults, fmt.Errorf("--k: want 2 or more, have %d", a.k))
	}
	if a.take < 0 || a.budget < 0 || a.step < 0 {
		faults = append(faults, errors.New("--count, --budget and --step: want more than 0"))
	}
	a.reading = recording.Options{Families: p.families, Step: time.Duration(a.step)}
	for _, text := range a.slo {
		e, err := recording.ParseExpression(text, p.families)
		if err != nil {
			faults = append(faults, fmt.Errorf("--slo: %w", err))
		}
		a.reading.SLO = append(a.reading.SLO, e)
	}
	var err error
	if a.reading.Split, err = recording.ParseSplit(a.split); err != nil {
		faults = append(faults, fmt.Errorf("--split: %w", err))
	}
	return errors.Join(faults...)
}

// chosen are the algorithms to run on a recording: those named, else all that it has
// what they need for.
func (a *analyzer) chosen(r *recording.Recording) (names []string) {
	slo := r.SLO != nil
	all := slices.Contains(a.algorithms, "all") || len(a.algorithms) == 0 && slo
	for _, x := range analysis.Algorithms() {
		switch {
		case slices.Contains(a.algorithms, x.Name):
			names = append(names, x.Name)
		case !all:
		case x.NeedsSLO && !slo:
			r.Notes = append(r.Notes, x.Name+" was left out: it learns from violations of an SLO.")
		case x.Name == "sieve" && len(r.Calls) == 0:
			r.Notes = append(r.Notes, "sieve was left out: it needs a call graph.")
		default:
			names = append(names, x.Name)
		}
	}
	if names == nil {
		names = []string{"kshape"}
	}
	return names
}

func (a *analyzer) analyze(ctx context.Context, source string) (*analyzed, error) {
	r, err := recording.ReadFiles(source, a.reading)
	if err != nil {
		return nil, err
	}
	names := a.chosen(r)
	out := &analyzed{source: source, recording: r, single: len(names) == 1}
	results, errs := analysis.Compare(r.Recording, analysis.Options{
		Task: analysis.Task(a.task.value), K: a.k, Count: a.take, Seed: a.seed, HoldOut: a.holdOut, Budget: a.budget,
	}, names...)
	for i, err := range errs {
		if err != nil {
			out.failed = append(out.failed, failedAlgorithm{names[i], err})
			continue
		}
		out.results = append(out.results, results[i])
	}
	if len(out.results) == 0 {
		return nil, fmt.Errorf("analyze %s: %w", source, out.failed[0].err)
	}
	return out, ctx.Err()
}

func algorithmHelp() string {
	var b strings.Builder
	for _, x := range analysis.Algorithms() {
		b.WriteString(wrap(x.Name+": "+x.Help, "  ", 80))
	}
	return b.String()
}
