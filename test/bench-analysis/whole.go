package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/test/planted"
)

// A wholeCase is one call of all algorithms, as `viperprobe analyze` makes it.
type wholeCase struct {
	series  int
	one     bool // all series in one container
	turns   bool // every workload is held out in turn, in place of two runs once
	workers int
}

func (c wholeCase) String() string {
	return fmt.Sprintf("%dx%tx%tx%d", c.series, c.one, c.turns, c.workers)
}

// side are planted shops laid side by side until there are enough series; the SLO is that of the first.
func side(c wholeCase) (analysis.Recording, map[string]float64) {
	var out planted.Shop
	for seed := uint64(0); len(out.Series) < c.series; seed++ {
		s := planted.New(seed)
		if seed == 0 {
			out = s
			continue
		}
		shop := fmt.Sprint("shop", seed, "/")
		for _, x := range s.Series {
			x.Name, x.Container, x.Service = shop+x.Name, shop+x.Container, shop+x.Service
			out.Series = append(out.Series, x)
		}
		for _, call := range s.Calls {
			out.Calls = append(out.Calls, analysis.Call{Caller: shop + call.Caller, Callee: shop + call.Callee})
		}
	}
	out.Series = out.Series[:c.series]
	for i := range out.Series {
		if c.one {
			out.Series[i].Container = ""
		}
	}
	return out.Recording, out.Costs
}

// oneWhole runs a case and prints its timing as JSON.
func oneWhole(text string) error {
	var c wholeCase
	if _, err := fmt.Sscanf(strings.ReplaceAll(text, "x", " "), "%d %t %t %d", &c.series, &c.one, &c.turns, &c.workers); err != nil {
		return fmt.Errorf("case %q: %w", text, err)
	}
	r, costs := side(c)
	o := analysis.Options{Costs: costs, Workers: c.workers}
	if !c.turns {
		o.HoldOut = []string{"run1", "run5"}
	}
	begin, used := time.Now(), cpuSeconds()
	_, errs := analysis.Compare(r, o)
	t := timing{Seconds: time.Since(begin).Seconds(), CPU: cpuSeconds() - used}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	var err error
	if t.PeakMiB, err = peak(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}

// printWhole prints what one call with many series takes.
func (o options) printWhole(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Println("| series | containers | held out | cores | seconds (CPU) | memory, MiB |")
	fmt.Println("|--:|---|---|--:|--:|--:|")
	for _, c := range []wholeCase{{500, false, false, 0}, {1000, false, false, 0}, {2000, false, false, 0}, {2000, false, true, 0}, {2000, true, false, 0}} {
		c.workers = runtime.NumCPU()
		t, err := ask(exec.CommandContext(ctx, self, "-one-whole", c.String()))
		if err != nil {
			return err
		}
		containers, held := "6 for 90 series", "two runs of six"
		if c.one {
			containers = "one"
		}
		if c.turns {
			held = "each workload in turn"
		}
		fmt.Printf("| %d | %s | %s | %d | %.1f (%.1f) | %.0f |\n", c.series, containers, held, c.workers, t.Seconds, t.CPU, t.PeakMiB)
	}
	return nil
}
