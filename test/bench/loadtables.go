package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/test/rig"
)

// A figure is one number of a run.
type figure func(met) float64

func quantile(name string) figure { return func(m met) float64 { return 1e6 * m.Quantile[name] } } // us

func rate(m met) float64       { return float64(m.Answers) / m.Seconds }
func perRequest(m met) float64 { return 1e6 * m.server / float64(max(1, m.Answers)) } // us of the server's CPU
func machineCPU(m met) float64 { return 100 * m.busy / m.Seconds / float64(runtime.NumCPU()) }
func subjectCPU(m met) float64 { return 100 * m.subject / m.Seconds / float64(runtime.NumCPU()) }

// of collects one figure of all runs.
func of(runs []met, f figure) []float64 {
	out := make([]float64, 0, len(runs))
	for _, m := range runs {
		out = append(out, f(m))
	}
	return out
}

// A change is the median, over rounds, of how a figure differs from the same round of the
// base, with its interval: the order statistics that hold the median with 95 % or more
// where there are 7 rounds or more, else the least and the most.
type change struct{ median, low, high float64 }

func changeOf(mine, base []float64, differ func(mine, base float64) float64) change {
	all := make([]float64, 0, len(mine))
	for i := range min(len(mine), len(base)) {
		all = append(all, differ(mine[i], base[i]))
	}
	if len(all) == 0 {
		return change{}
	}
	slices.Sort(all)
	low, high := medianInterval(len(all))
	return change{rig.Median(all), all[low], all[high]}
}

func percent(mine, base float64) float64    { return 100 * (mine/base - 1) }
func difference(mine, base float64) float64 { return mine - base }

func (c change) percents() string {
	return fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", c.median, c.low, c.high)
}

func (c change) micros() string {
	return fmt.Sprintf("%+.2f (%+.2f to %+.2f)", c.median, c.low, c.high)
}

// medianInterval gives the ranks, from 0, of a 95 % interval of the median of n values:
// the narrowest pair of order statistics by the binomial distribution.
func medianInterval(n int) (low, high int) {
	p, tail := 1.0, 0.0 // of k = 0 successes
	for range n {
		p /= 2
	}
	for k := 0; k < n/2; k++ {
		if tail += p; 2*tail > 0.05 {
			break
		}
		low = k
		p *= float64(n-k) / float64(k+1)
	}
	return low, n - 1 - low
}

// A comparison is what all subjects' runs met with.
type comparison struct {
	servers  []string
	subjects []string // nothing is the first
	met      map[string]map[cell][]met
}

func (c *comparison) add(subject string, at cell, m met) {
	if c.met[subject] == nil {
		c.met[subject] = map[cell][]met{}
	}
	c.met[subject][at] = append(c.met[subject][at], m)
}

// against is a figure of a subject beside the same of nothing.
func (c *comparison) against(subject string, at cell, f figure, differ func(mine, base float64) float64) change {
	return changeOf(of(c.met[subject][at], f), of(c.met[c.subjects[0]][at], f), differ)
}

// summary prints one figure at one level: a row for each subject, a column for each server.
func (c *comparison) summary(title string, level float64, f figure, format string, differ func(mine, base float64) float64, show func(change) string) {
	fmt.Printf("\n%s\n\n| subject | %s |\n|---|%s\n", title, strings.Join(c.servers, " | "), strings.Repeat("--:|", len(c.servers)))
	for i, subject := range c.subjects {
		fmt.Printf("| %s |", subject)
		for _, server := range c.servers {
			at := cell{server, level}
			if i == 0 {
				fmt.Printf(" "+format+" |", rig.Median(of(c.met[subject][at], f)))
			} else {
				fmt.Printf(" %s |", show(c.against(subject, at, f, differ)))
			}
		}
		fmt.Println()
	}
}

// print prints the summaries, then everything of each server and level.
func (c *comparison) print(full rates, seconds float64, rounds int) {
	fmt.Printf("\n## Real software: %d connections, %.1f s a run, medians of %d rounds in turn, changes against nothing in the same round\n", loadConns, seconds, rounds)
	c.summary("Closed loop, requests a second:", 0, rate, "%.0f", percent, change.percents)
	c.summary("The same, CPU of the server, us a request (ms per 1,000):", 0, perRequest, "%.2f", difference, change.micros)
	for _, q := range []string{"p50", "p99"} {
		for _, level := range levels[:len(levels)-1] {
			c.summary(fmt.Sprintf("Open loop at %.0f %% of capacity, %s, us:", 100*level, q), level, quantile(q), "%.0f", percent, change.percents)
		}
	}
	for _, server := range c.servers {
		for _, level := range levels {
			at := cell{server, level}
			fmt.Printf("\n%s (capacity %.0f requests/s):\n\n", at, full[server])
			fmt.Printf("| subject | requests/s | p50, us | p99, us | p99.9, us | server's CPU, us/request | machine's CPU, %% | of it the subject's process |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
			for _, subject := range c.subjects {
				runs := c.met[subject][at]
				fmt.Printf("| %s | %.0f | %s | %s | %s | %.2f | %.1f | %.2f |\n", subject, rig.Median(of(runs, rate)), spread(of(runs, quantile("p50")), "%.0f"),
					spread(of(runs, quantile("p99")), "%.0f"), spread(of(runs, quantile("p99.9")), "%.0f"), rig.Median(of(runs, perRequest)), rig.Median(of(runs, machineCPU)), rig.Median(of(runs, subjectCPU)))
			}
		}
	}
}
