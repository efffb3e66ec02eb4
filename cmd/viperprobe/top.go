package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/store"
	"viperprobe.dev/viperprobe/internal/tui"
)

// topFamilies are shown unless others are asked for: one or two per resource,
// as far as the catalogue has them.
var topFamilies = []string{
	"cpu_usage", "runq_latency", "memory_working_set_bytes", "tcp_sent_bytes", "tcp_received_bytes", "tcp_retransmits",
	"block_latency", "requests", "request_latency", "context_switches", "page_faults", "threads",
}

// notAny in place of an address has top measure by itself.
const notAny = "none"

// onceWindows is how many windows --once waits for one that has values. The first
// is passed over in any case: it is shorter than the others, and what lived before
// it has only its baseline there.
const onceWindows = 4

// top is what the command was asked for.
type top struct {
	settings
	instance
	by, sort string
	once     bool
	output   choice
	log      io.Writer
}

func newTop(p parts) *cobra.Command {
	t := top{settings: settings{runOptions: defaults()}, output: oneOf("table", "json", "csv")}
	t.Families = nil
	c := &cobra.Command{
		Use:   "top",
		Short: "Show the targets of a machine in a live table",
		Long: `Top shows the targets of a machine in a table that is drawn anew for each
window: rates per second of counters, last values of gauges, and p50, p90 and p99
of histograms. Press ? for the keys.

Where viperprobe run answers at --url, top shows what that measures, needs no
rights, and costs next to nothing; --interval is then the instance's. Where nothing
answers, or with --url none, it measures by itself, stores nothing, and needs the
same rights as run. The head of the table says which.

With --once it prints the last whole window, or the first that it measures, and
ends. -o json is an array of {target: {id, node, namespace, pod, container,
workload, cgroup, kind, pattern}, values: {family: number or {count, sum, p50, p90,
p99}}} in base units.` + codes("4 no cgroup v2"),
		Example: `  viperprobe top
  viperprobe top --families cpu,runq_latency --by pod --sort runq_latency
  viperprobe top --once -o json --families tcp_sent_bytes
  viperprobe top --url https://user:password@node7:9733`,
		Args: noArgs,
	}
	t.bindPlan(c.Flags())
	t.instance.bind(&t.settings.flags, "address of a running instance, or none; may hold user:password@")
	c.Flags().Lookup("families").Usage = "families to show, or aliases, classes, tiers, beginnings (flow_*), default or all; may be repeated (default: a few of each resource)"
	c.Flags().StringVar(&t.by, "by", "target", "sum by target, pod, workload, namespace, node or pattern")
	c.Flags().StringVar(&t.sort, "sort", "", "family to sort by (default: the first)")
	c.Flags().BoolVar(&t.once, "once", false, "print one window and end")
	t.settings.flags.output(&t.output)
	c.RunE = func(c *cobra.Command, _ []string) error {
		t.log = c.ErrOrStderr()
		if !c.Flags().Changed("families") {
			t.Families = present(topFamilies, p.families)
		}
		p, fault := t.load(p)
		families, err := t.resolve(p.families)
		if err := errors.Join(fault, err); err != nil {
			return usage(err)
		}
		plan, err := t.plan(p.families)
		if err != nil {
			return usage(err)
		}
		if plan.Patterns, err = policy.Patterns(); err != nil {
			return err
		}
		f, last, err := t.find(c.Context(), p.families, families)
		if err != nil {
			return err
		}
		if f != nil {
			return t.follow(c.Context(), p, f, last, families, c.OutOrStdout())
		}
		return t.watch(c.Context(), p, plan, families, c.OutOrStdout())
	}
	return c
}

// present is the names that the catalogue has.
func present(names []string, catalogue []*metric.Family) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := policy.Resolve([]string{name}, catalogue)
		return err != nil
	})
}

// resolve checks what is top's own and gives the families to show.
func (t *top) resolve(catalogue []*metric.Family) ([]*metric.Family, error) {
	var faults []error
	if err := checkBy(t.by, words(store.Groupings)); err != nil {
		faults = append(faults, err)
	}
	if t.url != notAny {
		if err := t.instance.check(); err != nil {
			faults = append(faults, err)
		}
	}
	shown, err := policy.Resolve(t.Families, catalogue)
	if t.sort != "" && err == nil {
		sorted, err := policy.Resolve([]string{t.sort}, shown)
		if err != nil || len(sorted) != 1 {
			faults = append(faults, fmt.Errorf("--sort: want one of the families shown, have %q", t.sort))
		} else {
			t.sort = sorted[0].Name
		}
	}
	if t.settings.flags.Changed("output") && !t.once {
		faults = append(faults, errors.New("--output: is for --once; the live table has one form"))
	}
	return shown, errors.Join(faults...)
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

func checkBy(by string, words []string) error {
	c := choice{words: words}
	if err := c.UnmarshalText([]byte(by)); err != nil {
		return fmt.Errorf("--by: %w", err)
	}
	return nil
}

// watch runs an engine and shows what it publishes.
func (t *top) watch(ctx context.Context, p parts, plan policy.Plan, families []*metric.Family, w io.Writer) error {
	log := slog.New(slog.DiscardHandler) // it would be drawn into the table
	if t.once {
		log = slog.New(slog.NewTextHandler(t.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	batches := newLatest()
	e, err := p.engine(p, engineConfig{Sinks: []agent.Sink{batches}, Log: log})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() {
		ran <- e.Run(ctx)
		stop() // without an engine there is nothing to show
	}()
	// A plan that is not in force in full is better than none.
	refused := e.Apply(plan)
	if t.once {
		if refused != nil {
			log.Warn("plan not in force in full", "err", refused)
		}
		err = t.printOnce(ctx, batches.next, families, w)
	} else {
		err = t.showLive(ctx, p, e, batches, plan, families, w, refused)
	}
	stop()
	if failed := <-ran; failed != nil && !errors.Is(failed, context.Canceled) {
		return failed
	}
	return err
}

func (t *top) showLive(ctx context.Context, p parts, e engine, batches *latest, plan policy.Plan, families []*metric.Family, w io.Writer, refused error) error {
	choose := func(chosen []*metric.Family) error {
		plan.Generation++
		plan.Rules = []policy.Rule{{Origin: "top", Select: plan.Rules[0].Select, Wants: wants(chosen, 1)}}
		if len(t.ExcludeCgroups) > 0 {
			plan.Rules = append(plan.Rules, t.exclusion(chosen))
		}
		return e.Apply(plan)
	}
	return t.table(ctx, w, tui.Options{
		Source: "measured here", Batches: batches.next, Catalogue: p.families, Families: families, Choose: choose, Missed: batches.dropped.Load,
	}, refused)
}

// table shows o; message is of what went wrong so far, nil if nothing did.
func (t *top) table(ctx context.Context, w io.Writer, o tui.Options, message error) error {
	if f, ok := w.(*os.File); !ok || !tui.IsTerminal(f) {
		return errors.New("standard output is not a terminal; `viperprobe top --once` prints one window, with -o json or csv for programs")
	}
	if message != nil {
		o.Message = message.Error()
	}
	o.By, o.Sort = store.Grouping(t.by), t.sort
	return tui.Run(ctx, o)
}

// printOnce prints the first whole window that has values.
func (t *top) printOnce(ctx context.Context, batches <-chan *metric.Batch, families []*metric.Family, w io.Writer) error {
	for range onceWindows - 1 {
		select {
		case <-ctx.Done():
			return nil
		case b := <-batches:
			if b.Seq > 1 && len(tui.Rows(b, families, store.Grouping(t.by))) > 0 {
				return t.print(b, families, w)
			}
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case b := <-batches:
		return t.print(b, families, w)
	}
}

func (t *top) print(b *metric.Batch, families []*metric.Family, w io.Writer) error {
	if b.Partial {
		fmt.Fprintf(t.log, "viperprobe: the window is not complete: %s\n", strings.Join(b.Faults, "; "))
	}
	rows := tui.Rows(b, families, store.Grouping(t.by))
	switch t.output.value {
	case "json":
		return tui.WriteJSON(w, rows)
	case "csv":
		return tui.WriteCSV(w, rows, families)
	}
	return tui.WriteTable(w, rows, families)
}

// latest is a sink that keeps the newest batch for a reader that may be slow.
// The engine never waits for it.
type latest struct {
	next    chan *metric.Batch // room for one
	dropped atomic.Uint64      // batches that a newer one replaced
}

func newLatest() *latest { return &latest{next: make(chan *metric.Batch, 1)} }

// Publish never blocks. One goroutine may call it at a time.
func (l *latest) Publish(_ context.Context, b *metric.Batch) error {
	select {
	case <-l.next:
		l.dropped.Add(1)
	default:
	}
	l.next <- b
	return nil
}
