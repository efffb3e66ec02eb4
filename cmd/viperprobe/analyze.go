package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/control"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/recording"
)

// An analyzer is the flags of analyze.
type analyzer struct {
	selection
	output     choice
	algorithms []string
	holdOut    []string
	task       choice
	k, take    int
	seed       uint64
	budget     float64
	slo        []string
	split      string
	html       string
	critical   string
	document   documentFlags
	cost       string
	control    string
	calls      string
	reading    recording.Options
	server     *recording.Prometheus // nil: SOURCE is none
}

// An analyzed recording is what is printed.
type analyzed struct {
	source    string
	recording *recording.Recording
	options   analysis.Options
	costUnit  string            // of the costs; "" if unknown
	results   []analysis.Result // in the order in which they were asked for
	failed    []failedAlgorithm
	single    bool // one algorithm was named
}

type failedAlgorithm struct {
	name string
	err  error
}

func newAnalyze(p parts) *cobra.Command {
	a := analyzer{output: oneOf("table", "json", "yaml"), task: oneOf(words(analysis.Tasks())...)}
	c := &cobra.Command{
		Use:   "analyze [SOURCE]",
		Short: "Find the few series that matter in a recording",
		Long: `Analyze finds, among recorded series, the few that tell of trouble. SOURCE is a CSV
or Parquet file, or a folder of them; or a Prometheus server, as
prom://host:9090/?match=SELECTOR (proms:// for HTTPS; also start, end, step, window of
rates); without it, what the running instance has stored, or the store in --store.

A file has the header time,NAME,...; time in unix seconds or RFC 3339, optional
columns slo (1: violated), run and workload (what a run's load was like). A name says
whose a series is and what of it: container/family.p99, or as Prometheus writes it,
family{container="web"}. Rows without a value have an empty cell. What export writes
is read, too.

With an SLO all algorithms are judged side by side: each selects without some of the
runs, and is asked to predict those. Without one, kshape selects by shape alone.
Algorithms:

` + algorithmHelp() + `
-o json prints, of one --algorithm, {algorithm, k, silhouette, clusters: [{members[],
representative, container}], critical: [{series, why, ...}], ...}; of several, an
array of these. -o yaml prints the selection of supervised, or of the only algorithm,
as a document of kind CriticalMetrics, for diff and set -f.` + codes("3 some algorithm could not do its work"),
		Example: `  viperprobe analyze --since 30m --slo 'nginx/request_latency p99 > 50ms'
  viperprobe analyze 'prom://localhost:9090/?match={namespace="shop"}' --since 6h --step 30s
  viperprobe analyze recording.csv
  viperprobe analyze recording.csv --algorithm kshape --k 3 --seed 1 -o json
  viperprobe analyze recording.csv --slo 'request_latency p99 > 50ms' --split 10m
  viperprobe analyze recording.csv --html report.html
  viperprobe analyze recording.csv -o yaml > shop.yaml && viperprobe diff shop.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(fmt.Errorf("want one SOURCE, have %d; put files into a folder", len(args)))
			}
			return nil
		},
	}
	a.bind(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := p.withProbes(a.probes)
		if err != nil {
			return usage(err)
		}
		if err := a.check(p, args); err != nil {
			return usage(err)
		}
		r, source, err := a.read(c, p, args)
		if err != nil {
			return err
		}
		out, err := a.analyze(c, r, source)
		if err != nil {
			return err
		}
		return a.print(c, out, p.families)
	}
	return c
}

func (a *analyzer) bind(c *cobra.Command) {
	a.bindPlace(c, "1h")
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
	f.StringVar(&a.cost, "cost", "", "what families cost: running (those of the running instance), a file with what viperprobe cost -o json prints, or CSV with the header family,cost (default: each counts as 1)")
	f.StringVar(&a.control, "control", defaultControl, "socket of the running instance, for --cost running")
	f.StringVar(&a.calls, "calls", "", "which service calls which, for sieve: CSV with the header caller,callee")
	f.StringVar(&a.critical, "critical", "", "write the selection as a document of kind CriticalMetrics to this file, too")
	a.document.bind(f)
	f.output(&a.output)
}

// check is every fault of the command line.
func (a *analyzer) check(p parts, args []string) error {
	var faults []error
	if err := a.selection.check(time.Now()); err != nil {
		faults = append(faults, err)
	}
	if len(args) > 0 {
		prometheus := recording.IsPrometheus(args[0])
		if prometheus {
			faults = append(faults, a.checkServer(args[0]))
		}
		for _, name := range []string{"target", "since", "until", "url", "store"} {
			if a.flags.Changed(name) && !(prometheus && (name == "since" || name == "until")) {
				faults = append(faults, fmt.Errorf("--%s: goes without a SOURCE: it says what to read of a store", name))
			}
		}
	}
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

// checkServer reads the address of a Prometheus.
func (a *analyzer) checkServer(source string) error {
	step := time.Duration(a.step)
	if step == 0 {
		step = serverStep
	}
	transport, err := a.transport()
	if err != nil {
		return err
	}
	p, err := recording.ParsePrometheus(source, recording.Prometheus{From: a.from, To: a.to, Step: step, Transport: transport})
	a.server = &p
	return err
}

// serverStep is the usual time between two scrapes.
const serverStep = 15 * time.Second

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

// read reads the recording and what stands beside it.
func (a *analyzer) read(c *cobra.Command, p parts, args []string) (r *recording.Recording, source string, err error) {
	var calls []analysis.Call
	if a.calls != "" {
		if calls, err = recording.ReadCalls(a.calls); err != nil {
			return nil, "", fmt.Errorf("--calls: %w", err)
		}
	}
	switch {
	case a.server != nil:
		source = redactedURL(args[0])
		r, err = recording.ReadPrometheus(c.Context(), *a.server, a.reading)
	case len(args) > 0:
		source = args[0]
		r, err = recording.ReadFiles(source, a.reading)
	default:
		source = "the store"
		r, err = a.readStore(c, p)
	}
	if err == nil {
		r.Calls = calls
	}
	return r, source, err
}

// readStore reads what a running instance has stored, or a store.
func (a *analyzer) readStore(c *cobra.Command, p parts) (*recording.Recording, error) {
	s, err := a.open(c.Context())
	if err != nil {
		return nil, err
	}
	r, err := recording.FromRows(c.Context(), "the store", a.rows(c.Context(), s, p.families), a.reading)
	return r, errors.Join(err, a.tellGaps(c, s), s.Close())
}

func (a *analyzer) analyze(c *cobra.Command, r *recording.Recording, source string) (*analyzed, error) {
	o := analysis.Options{Task: analysis.Task(a.task.value), K: a.k, Count: a.take, Seed: a.seed, HoldOut: a.holdOut, Budget: a.budget}
	var costUnit string
	var err error
	if o.Costs, costUnit, err = a.costs(c.Context()); err != nil {
		return nil, fmt.Errorf("--cost: %w", err)
	}
	bar := newProgress(c.ErrOrStderr())
	o.Progress = bar.show
	names := a.chosen(r)
	out := &analyzed{source: source, recording: r, options: o, costUnit: costUnit, single: len(names) == 1}
	type compared struct {
		results []analysis.Result
		errs    []error
	}
	done := make(chan compared, 1)
	go func() {
		results, errs := analysis.Compare(r.Recording, o, names...)
		done <- compared{results, errs}
	}()
	var all compared
	select {
	case <-c.Context().Done(): // what still works ends with the process
		bar.clear()
		return nil, fmt.Errorf("analyze %s: interrupted; nothing was written", source)
	case all = <-done:
		bar.clear()
	}
	for i, err := range all.errs {
		if err != nil {
			out.failed = append(out.failed, failedAlgorithm{names[i], err})
			continue
		}
		out.results = append(out.results, all.results[i])
	}
	if len(out.results) == 0 {
		return nil, fmt.Errorf("analyze %s: %w", source, out.failed[0].err)
	}
	return out, nil
}

// redactedURL is an address without a password.
func redactedURL(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

// costs are what families cost, and the unit of that, if it is known: of a file, of the
// running instance, or unknown.
func (a *analyzer) costs(ctx context.Context) (costs map[string]float64, unit string, err error) {
	switch a.cost {
	case "":
		return nil, "", nil
	case "running":
		bill, err := control.Client{Path: a.control}.Cost(ctx)
		return recording.CostsOf(&bill), recording.BillUnit, err
	}
	return recording.ReadCosts(a.cost)
}

func algorithmHelp() string {
	var b strings.Builder
	for _, x := range analysis.Algorithms() {
		b.WriteString(wrap(x.Name+": "+x.Help, "  ", 80))
	}
	return b.String()
}
