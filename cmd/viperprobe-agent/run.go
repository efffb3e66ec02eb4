package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/codec"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/ratelog"
)

type runFlags struct {
	interval time.Duration
	families []string
	cgroups  []string
	root     string
}

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Measure and write each window to standard output as a line of JSON",
		Long: `Run measures the containers of this machine and writes each window to standard
output as one line of JSON, until it is told to end or nobody reads. It stores and
serves nothing.

Exit codes: 0 done, 1 failure, 2 wrong usage, 4 no cgroup v2.`,
		Example: "  viperprobe-agent run | jq -c '.groups[] | [.target.cgroup, (.samples | length)]'",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(70) // as viperprobe run does; here what a window allocates weighs more
			}
			return run(c.Context(), f, c.OutOrStdout())
		},
	}
	c.Flags().DurationVar(&f.interval, "interval", time.Second, "length of a window")
	c.Flags().StringSliceVar(&f.families, "families", []string{"default"}, "what is measured: families, aliases, classes, tiers, beginnings (flow_*), all, or default: all but those on demand; may be repeated")
	c.Flags().StringArrayVar(&f.cgroups, "cgroup", nil, "measure only targets whose cgroup path matches this glob; may be repeated")
	c.Flags().StringVar(&f.root, "root", "/", "where the machine's root is mounted")
	return c
}

// jsonLines is the sink of an agent that stands alone. Without a reader there is
// nothing to measure for, so what cannot be written ends the run, which reports it.
type jsonLines struct {
	out  *codec.JSON
	fail context.CancelCauseFunc
}

func (j jsonLines) Publish(_ context.Context, b *metric.Batch) error {
	err := j.out.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = fmt.Errorf("%w: whoever read it has gone", err)
	}
	if err != nil {
		j.fail(fmt.Errorf("write batch %d: %w", b.Seq, err))
	}
	return nil
}

func run(ctx context.Context, f runFlags, out io.Writer) error {
	all := catalogue.Families()
	plan, err := f.plan(all)
	if err != nil {
		return codedError{err, exitUsage}
	}
	if err := checkRights(); err != nil {
		return err
	}
	host, err := cgroup.Find(f.root)
	if err != nil {
		return err
	}
	log := slog.New(ratelog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// Without this the Go runtime ends the process at a write to a closed standard
	// output, with nothing said and the kernel side left to the kernel.
	signal.Ignore(syscall.SIGPIPE)
	a, err := agent.New(agent.Options{
		Host: host, Families: all, Object: catalogue.Object,
		Sinks: []agent.Sink{jsonLines{&codec.JSON{W: out}, fail}}, Reuse: true,
		Log: log,
	})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	if err := a.Apply(plan); err != nil {
		log.Warn("plan not in force in full", "err", err)
	}
	err = <-done
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

func (f *runFlags) plan(all []*metric.Family) (policy.Plan, error) {
	wanted, err := policy.Resolve(f.families, all)
	if err != nil {
		return policy.Plan{}, err
	}
	for _, g := range f.cgroups {
		if err := policy.CheckGlob(g); err != nil {
			return policy.Plan{}, fmt.Errorf("--cgroup: %w", err)
		}
	}
	if f.interval <= 0 {
		return policy.Plan{}, fmt.Errorf("--interval: %v, want more than 0", f.interval)
	}
	rule := policy.Rule{Origin: "--families", Select: policy.Selector{Cgroups: f.cgroups}}
	for _, w := range wanted {
		rule.Wants = append(rule.Wants, policy.Want{Family: w.Name, Ratio: 1})
	}
	patterns, err := policy.Patterns()
	return policy.Plan{Generation: 1, Interval: f.interval, Rules: []policy.Rule{rule}, Patterns: patterns}, err
}
