package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/store"
)

const defaultStore = "./viperprobe.data"

// A reader is where query and export read from: a running instance, or a store.
type reader interface {
	Range(context.Context, store.Query) iter.Seq2[store.Row, error]
	Gaps(ctx context.Context, from, to time.Time) ([]store.Gap, error)
	Close() error
}

// selection is what is asked for, of query and of export.
type selection struct {
	flags flags
	instance
	target, since, until, by string
	rate                     bool
	step                     span
	dir, probes              string
	from, to                 time.Time
}

func (s *selection) bind(c *cobra.Command, since string) {
	s.bindPlace(c, since)
	f := &s.flags
	f.StringVar(&s.by, "by", "target", "sum by target, pod, workload, namespace, node or pattern")
	f.BoolVar(&s.rate, "rate", false, "counters and histograms per second")
	f.text(&s.step, "step", "duration", "one row for each step of this length (default: one for each window)")
	f.Lookup("step").DefValue = ""
}

// bindPlace binds where and when to read, and of which targets.
func (s *selection) bindPlace(c *cobra.Command, since string) {
	s.flags.FlagSet = c.Flags()
	s.by = "target"
	f := &s.flags
	f.StringVar(&s.target, "target", "", "glob on a target's name, container, pod, cgroup or id; * does not cross /, and /** at the end means the tree")
	f.StringVar(&s.since, "since", since, "begin: how long ago, or a time as RFC 3339")
	f.StringVar(&s.until, "until", "", "end, in the same ways (default now)")
	s.instance.bind(f, "address of a running instance; may hold user:password@")
	f.probes(&s.probes)
	f.StringVar(&s.dir, "store", defaultStore, "directory of a store, read when it is given, or when nothing runs at --url")
}

// check is every fault of the command line.
func (s *selection) check(now time.Time) error {
	faults := s.flags.faults
	var err error
	if s.from, err = moment(s.since, now); err != nil {
		faults = append(faults, fmt.Errorf("--since: %w", err))
	}
	if s.to = now; s.until != "" {
		if s.to, err = moment(s.until, now); err != nil {
			faults = append(faults, fmt.Errorf("--until: %w", err))
		}
	}
	if len(faults) == 0 && !s.to.After(s.from) {
		faults = append(faults, fmt.Errorf("--since: begins at %s, after the end at %s", s.from.Format(time.RFC3339), s.to.Format(time.RFC3339)))
	}
	if err := checkBy(s.by, words(store.Groupings)); err != nil {
		faults = append(faults, err)
	}
	if err := policy.CheckGlob(s.target); err != nil {
		faults = append(faults, fmt.Errorf("--target: %w", err))
	}
	if s.step < 0 {
		faults = append(faults, errors.New("--step: want more than 0"))
	}
	if err := s.instance.check(); err != nil {
		faults = append(faults, err)
	}
	if s.flags.Changed("url") && s.flags.Changed("store") {
		faults = append(faults, errors.New("--url and --store: give one, not both"))
	}
	return errors.Join(faults...)
}

// moment reads "5m", which is that long ago, or a time.
func moment(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	var ago span
	if err := ago.UnmarshalText([]byte(text)); err != nil || ago < 0 {
		return now, fmt.Errorf("want how long ago, such as 5m or 2d, or a time such as %s, have %q", now.UTC().Truncate(time.Second).Format(time.RFC3339), text)
	}
	return now.Add(-time.Duration(ago)), nil
}

// open finds the place to read from: the running instance, else the store.
func (s *selection) open(ctx context.Context) (reader, error) {
	if !s.flags.Changed("store") {
		m, err := s.remote()
		if err != nil {
			return nil, err
		}
		_, err = m.Gaps(ctx, s.to.Add(-time.Second), s.to)
		if err == nil {
			return m, nil
		}
		if !s.absent(err) {
			return nil, s.explain(m, err, "read its store with --store")
		}
	}
	r, err := store.OpenReadOnly(s.dir, store.QueryOptions{})
	if err != nil && !s.flags.Changed("store") {
		return nil, fmt.Errorf("nothing runs at %s, and %w", s.url, err)
	}
	return r, err
}

func (s *selection) query(f *metric.Family) store.Query {
	return store.Query{
		Family: f, Target: s.target, From: s.from, To: s.to, Step: time.Duration(s.step), By: store.Grouping(s.by),
		Rate: s.rate && f.Kind != metric.Gauge,
	}
}

// counted counts the rows that go by.
func counted[Row any](rows iter.Seq2[Row, error], n *int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			if err == nil {
				*n++
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// tellNothing says why there may be no rows, which an empty table does not.
func (s *selection) tellNothing(c *cobra.Command, names string) {
	of, hint := "", "`viperprobe top` shows what is measured now"
	if s.target != "" {
		of = fmt.Sprintf(" of targets that match %q", s.target)
		hint = "a plain cgroup's name is its path, and * does not cross /; `viperprobe top` shows the names"
	}
	fmt.Fprintf(c.ErrOrStderr(), "viperprobe: nothing stored of %s%s from %s to %s; %s\n", names, of, s.from.UTC().Format(stamp), s.to.UTC().Format(stamp), hint)
}

func (s *selection) tellGaps(c *cobra.Command, r reader) error {
	gaps, err := r.Gaps(c.Context(), s.from, s.to)
	for _, g := range gaps {
		fmt.Fprintf(c.ErrOrStderr(), "viperprobe: not measured on %s from %s to %s: %s\n", g.Node, g.From.UTC().Format(stamp), g.To.UTC().Format(stamp), gapReasons[g.Reason])
	}
	return err
}

var gapReasons = map[string]string{"restart": "the agent was restarted", "lost": "windows were lost on the way"}
