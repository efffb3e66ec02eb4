package main

import (
	"fmt"
	"math"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// sampledRatio is the ratio of all estimates.
const sampledRatio = 0.1

// A paced load leaves most of its CPU free, so that its rate does not depend on how long a
// unit takes: gaps are as long as so many units of the closed loop.
const pace = 5

// untold is how many runs there are before an error is told: one between runs needs some.
const untold = 10

// calibrations is how many runs tell the events of a unit.
const calibrations = 5

// estimates repeats an estimate many times and compares it with the truth: of
// runq_latency the time slices that ended, which oncpu_slice counts whole on the same
// hook; of other families the load's count times the events of a unit, as runs of the
// same length at ratio 1 have them.
func (b *bench) estimates() error {
	if err := b.pacedEstimates(); err != nil {
		return err
	}
	return b.closedEstimates()
}

// windowRun is how long a run of windows is.
const windowRun = 5 * period

func (b *bench) pacedEstimates() error {
	fmt.Printf("\n## Estimates of loads at a rate that a clock sets (windows, %d runs of %v, ratio %v, periods of %v; units due at random, one fifth of what a closed loop does)\n\n", b.repeats, windowRun, sampledRatio, period)
	fmt.Printf("| family | units/s | mean error ± its standard error | in standard errors | spread of one estimate | by the formula | two standard errors told cover |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, q := range b.questions(false) {
		if err := b.subject.apply(mode{"windows", 1}, []string{q.family}, q.truth()...); err != nil {
			return err
		}
		r, err := start(b.subject.group, q.role, b.limit, 0)
		if err != nil {
			return err
		}
		gap := time.Duration(pace * r.P50)
		t, err := b.estimate(q, mode{"windows", sampledRatio}, windowRun, gap)
		if err != nil {
			return fmt.Errorf("%s: %w", q.family, err)
		}
		fmt.Printf("| `%s` | %.0f | %s | %+.1f | %.2f %% | %.2f %% | %.0f %% |\n", q.family, 1e9/float64(gap), t.errors, t.errors.mean/t.errors.deviation(), 100*t.errors.spread(), 100*t.formula, 100*t.covered)
	}
	return nil
}

// closedEstimates says beside the error how much rarer events are in a window because they
// are looked at there, as runs with the window always open and always closed tell.
func (b *bench) closedEstimates() error {
	fmt.Printf("\n## Estimates of closed loops, which go slower while they are looked at (%d runs, ratio %v; windows in runs of %v, 1 in n of %v; %d pairs of runs)\n\n", b.repeats, sampledRatio, windowRun, b.limit, b.pairs())
	fmt.Printf("| family | looked at | mean error ± its standard error | slow-down predicts | difference | in standard errors | spread of one estimate | by the formula | two standard errors told cover |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, q := range b.questions(false) {
		slower, err := b.slowdown(q)
		if err != nil {
			return fmt.Errorf("%s: %w", q.family, err)
		}
		for _, kind := range []string{"windows", "1 in n"} {
			limit := b.limit
			if kind == "windows" {
				limit = windowRun
			}
			t, err := b.estimate(q, mode{kind, sampledRatio}, limit, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", q.family, err)
			}
			predicted, off, deviation := "", t.errors.mean, t.errors.deviation()
			if kind == "windows" {
				predicted, off, deviation = slower.String(), off-slower.mean, math.Hypot(deviation, slower.deviation())
			}
			fmt.Printf("| `%s` | %s | %s | %s | %+.2f ± %.2f %% | %+.1f | %.2f %% | %.2f %% | %.0f %% |\n", q.family, kind, t.errors, predicted, 100*off, 100*deviation, off/deviation, 100*t.errors.spread(), 100*t.formula, 100*t.covered)
		}
	}
	return nil
}

// truth is what is wanted whole beside a family to know what happened.
func (q question) truth() []string {
	if q.family == "runq_latency" {
		return []string{timeslices}
	}
	return nil
}

// timeslices counts the same switches as runq_latency, on the same hook.
const timeslices = "oncpu_slice"

// A tally is what many estimates were worth.
type tally struct {
	errors           moments // relative to the truth
	formula, covered float64
}

func (b *bench) estimate(q question, m mode, limit, gap time.Duration) (t tally, err error) {
	perUnit, err := b.eventsPerUnit(q, limit, gap)
	if err != nil {
		return t, err
	}
	if err := b.subject.apply(m, []string{q.family}, q.truth()...); err != nil {
		return t, err
	}
	f := b.subject.families[q.family]
	var between metric.Between
	for i := range b.repeats {
		began := b.subject.seen(timeslices)
		before, open := b.subject.seen(q.family), b.subject.set.Opened(f)
		r, err := start(b.subject.group, q.role, limit, gap)
		if err != nil {
			return t, err
		}
		k, ratio := b.subject.seen(q.family)-before, b.subject.set.Share(b.subject.slot, f)
		if m.kind == "windows" {
			ratio = share(open, b.subject.set.Opened(f))
		}
		truth := float64(r.Ops) * perUnit
		if len(q.truth()) > 0 {
			truth = b.subject.seen(timeslices) - began
		}
		off := k/ratio/truth - 1
		t.errors.add(off)
		independent := truth * (1 - ratio) / ratio
		t.formula += math.Sqrt(independent) / truth / float64(b.repeats)
		if variance := between.Add(k/ratio, 1); i >= untold && math.Abs(off*truth) <= 2*math.Sqrt(max(variance, independent)) {
			t.covered += 1 / float64(b.repeats-untold)
		}
	}
	return t, nil
}

func (b *bench) eventsPerUnit(q question, limit, gap time.Duration) (float64, error) {
	if err := b.subject.apply(mode{"windows", 1}, []string{q.family}); err != nil {
		return 0, err
	}
	var units float64
	before := b.subject.seen(q.family)
	for range calibrations {
		r, err := start(b.subject.group, q.role, limit, gap)
		if err != nil {
			return 0, err
		}
		units += float64(r.Ops)
	}
	return (b.subject.seen(q.family) - before) / units, nil
}

// share is the share of the time in which a window was open.
func share(before, after probe.Opening) float64 {
	return float64(after.Open-before.Open) / float64(after.Elapsed-before.Elapsed)
}
