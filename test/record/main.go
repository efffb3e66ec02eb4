// Command record makes a recording to analyse: real Redis and nginx under an open-loop load that goes beyond what they
// can do, beside a neighbour that takes their CPU. Each is in a cgroup of its own with a CPU limit, `viperprobe run`
// measures, and the load tool says every second whether the SLO was kept. examples/record.sh calls it, as root.
//
// It leaves in -out samples.csv, what `viperprobe export` gives, slo.csv with columns time, slo, run and workload, and
// costs.csv, what `viperprobe cost` says. It ends by itself, and takes back whatever it made.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	viperprobe string
	out        string
	seconds    int
	objective  time.Duration
	share      float64
	only       string
}

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.viperprobe, "viperprobe", "bin/viperprobe", "the program that measures")
	flag.StringVar(&o.out, "out", "recording", "folder for the recording")
	flag.IntVar(&o.seconds, "seconds", 80, "length of a run")
	flag.DurationVar(&o.objective, "objective", 50*time.Millisecond, "the SLO: p99 of a second, as the load tool sees it")
	flag.Float64Var(&o.share, "share", .2, "of a CPU that Redis and nginx may use each")
	flag.StringVar(&o.only, "only", "", "one run by name, to try things out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.record(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func (o options) record(ctx context.Context) (err error) {
	if o.seconds < 10 || o.seconds > 600 || o.share < .05 || o.share > 1 {
		return errors.New("-seconds must be from 10 to 600, -share from 0.05 to 1")
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	s := &stage{options: o}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return err
	}
	capacity, err := s.calibrate(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("capacity: %.0f visits a second; SLO: p99 of a second at most %v\n", capacity, o.objective)
	var seconds []second
	for _, r := range runs {
		if o.only != "" && o.only != r.name {
			continue
		}
		got, err := s.run(ctx, r, capacity)
		if err != nil {
			return fmt.Errorf("run %s: %w", r.name, err)
		}
		seconds = append(seconds, got...)
		if err := rest(ctx, pause); err != nil {
			return err
		}
	}
	return errors.Join(s.writeSLO(seconds), s.price(ctx, capacity), s.export(ctx))
}

// pause is between runs: what queues is served, and rows of one run are not taken for the past of the next.
const pause = 5 * time.Second

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
