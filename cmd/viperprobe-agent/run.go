package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/codec"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
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
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return run(c.Context(), f, c.OutOrStdout())
		},
	}
	c.Flags().DurationVar(&f.interval, "interval", time.Second, "length of a window")
	c.Flags().StringSliceVar(&f.families, "families", []string{"default"}, "families, aliases, classes, tiers, default or all; may be repeated")
	c.Flags().StringArrayVar(&f.cgroups, "cgroup", nil, "measure only targets whose cgroup path matches this glob; may be repeated")
	c.Flags().StringVar(&f.root, "root", "/", "where the machine's root is mounted")
	return c
}

// jsonLines is the sink of an agent that stands alone.
type jsonLines struct{ w *bufio.Writer }

func (j jsonLines) Publish(_ context.Context, b *metric.Batch) error {
	if err := codec.WriteJSON(j.w, b); err != nil {
		return fmt.Errorf("write batch %d to standard output: %w", b.Seq, err)
	}
	return j.w.Flush()
}

func run(ctx context.Context, f runFlags, out io.Writer) error {
	all := catalogue.Families()
	plan, err := f.plan(all)
	if err != nil {
		return codedError{err, exitUsage}
	}
	host, err := cgroup.Find(f.root)
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Options{
		Host: host, Families: all, Object: catalogue.Object,
		Sinks: []agent.Sink{jsonLines{bufio.NewWriter(out)}},
		Log:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	if err := a.Apply(plan); err != nil {
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Warn("plan not in force in full", "err", err)
	}
	return <-done
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
	return policy.Plan{Generation: 1, Interval: f.interval, Rules: []policy.Rule{rule}}, nil
}
