// Command governor draws how the agent keeps a budget while a storm of context
// switches comes and goes: what it measures each second, and what it gives up.
// `make bench-governor` runs it as root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/test/rig"
)

func main() {
	if length := os.Getenv(stormEnv); length != "" {
		if err := storm(length); err != nil {
			fmt.Fprintln(os.Stderr, "storm:", err)
			os.Exit(1)
		}
		return
	}
	d := &drawing{}
	flag.Float64Var(&d.limit, "cpu", 5, "budget, in percent of one CPU")
	flag.DurationVar(&d.calm, "calm", 10*time.Second, "time before the storm")
	flag.DurationVar(&d.storm, "storm", 45*time.Second, "length of the storm")
	flag.DurationVar(&d.after, "after", 60*time.Second, "time after the storm")
	out := flag.String("o", "docs/img/governor.svg", "the picture")
	flag.Parse()
	err := d.run()
	if err == nil {
		err = os.WriteFile(*out, d.svg(), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "governor: FAILED:", err)
		os.Exit(1)
	}
	fmt.Println("wrote", *out)
}

// A drawing is what one run told. Times are since its begin.
type drawing struct {
	limit              float64 // percent of one CPU
	calm, storm, after time.Duration

	mu     sync.Mutex
	began  time.Time
	points []point
	steps  []budget.Step
}

// A point is what the governor judged in one window, in percent of one CPU.
type point struct {
	at                time.Duration
	programs, process float64
}

// Publish takes a batch's word of what the governor measured.
func (d *drawing) Publish(_ context.Context, b *metric.Batch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, told := point{at: b.End.Sub(d.began)}, false
	for i := range b.Groups {
		for _, s := range b.Groups[i].Samples {
			if s.Family.Name != "agent_governor_cpu" {
				continue
			}
			if told = true; s.Labels[0] == "programs" {
				p.programs = float64(s.Value) / 1e7
			} else {
				p.process = float64(s.Value) / 1e7
			}
		}
	}
	if told {
		d.points = append(d.points, p)
	}
	return nil
}

// begin starts the clock: programs are loaded.
func (d *drawing) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.began, d.points, d.steps = time.Now(), nil, nil
}

func (d *drawing) step(s budget.Step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = append(d.steps, s)
	word := "give up"
	if s.Undo {
		word = "give back"
	}
	fmt.Printf("%5.1f s  %-9s %-8s %v %s\n", s.Time.Sub(d.began).Seconds(), word, s.Lever, s.Families, s.Why)
}

func (d *drawing) run() (err error) {
	host, unlock, err := rig.Begin()
	if err != nil {
		return err
	}
	defer unlock()
	d.began = time.Now()
	families := catalogue.Families()
	a, err := agent.New(agent.Options{Host: host, Families: families, Object: catalogue.Object, Sinks: []agent.Sink{d}, Governed: d.step})
	if err == nil && a.Reason() != nil {
		err = a.Reason()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() { cancel(); err = errors.Join(err, <-done) }()
	wanted, err := policy.Resolve([]string{"default"}, families)
	if err != nil {
		return err
	}
	plan := policy.Plan{Generation: 1, Interval: time.Second, Budget: policy.Budget{Limits: policy.Limits{CPU: d.limit / 100}}}
	rule := policy.Rule{Origin: "bench-governor"}
	for _, f := range wanted {
		rule.Wants = append(rule.Wants, policy.Want{Family: f.Name, Ratio: 1})
	}
	plan.Rules = []policy.Rule{rule}
	if err := a.Apply(plan); err != nil {
		return err
	}
	d.begin()
	time.Sleep(d.calm)
	if err := startStorm(d.storm); err != nil {
		return err
	}
	time.Sleep(d.after)
	return nil
}
