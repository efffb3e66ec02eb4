package main

import (
	"fmt"
	"math"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// estimates repeats an estimate many times and compares it with the truth: of
// runq_latency the time slices that ended, which oncpu_slice counts whole on the same
// hook; of other families the load's count times the events of a unit, as runs of the
// same length at ratio 1 have them.
func (b *bench) estimates() error {
	b.subject.period = period
	fmt.Printf("\n## Estimates of %d runs, ratio 0.1: windows in runs of 0.5 s, periods of 100 ms; 1 in n in runs of %v\n\n| family | looked at | mean error | its standard error | in standard errors | spread of one estimate | by the formula | two standard errors told cover | looked at in a run |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n", b.repeats, b.limit)
	for _, q := range questions() {
		if len(q.beside) > 0 {
			continue
		}
		for _, kind := range []string{"windows", "1 in n"} {
			if err := b.estimate(q, mode{kind, 0.1}); err != nil {
				return fmt.Errorf("%s: %w", q.family, err)
			}
		}
	}
	return nil
}

// untold is how many runs there are before an error is told: one between runs needs some.
const untold = 10

// calibrations is how many runs tell the events of a unit.
const calibrations = 5

func (b *bench) eventsPerUnit(q question, limit time.Duration) (float64, error) {
	if err := b.subject.apply(mode{"windows", 1}, []string{q.family}); err != nil {
		return 0, err
	}
	var units float64
	before := b.subject.seen(q.family)
	for range calibrations {
		r, err := start(b.subject.group, q.role, limit)
		if err != nil {
			return 0, err
		}
		units += float64(r.Ops)
	}
	return (b.subject.seen(q.family) - before) / units, nil
}

func (b *bench) estimate(q question, m mode) error {
	limit := b.limit
	if m.kind == "windows" {
		limit = 5 * period
	}
	perUnit, err := b.eventsPerUnit(q, limit)
	if err != nil {
		return err
	}
	const slices = "oncpu_slice"
	var beside []string
	if q.family == "runq_latency" {
		beside = []string{slices}
	}
	if err := b.subject.apply(m, []string{q.family}, beside...); err != nil {
		return err
	}
	f := b.subject.families[q.family]
	var sum, squares, looked, formula, told, covered float64
	var between metric.Between
	for i := range b.repeats {
		began := b.subject.seen(slices)
		before, open := b.subject.seen(q.family), b.subject.set.Opened(f)
		r, err := start(b.subject.group, q.role, limit)
		if err != nil {
			return err
		}
		k, ratio := b.subject.seen(q.family)-before, b.subject.set.Share(b.subject.slot, f)
		if m.kind == "windows" {
			ratio = share(open, b.subject.set.Opened(f))
		}
		truth := float64(r.Ops) * perUnit
		if len(beside) > 0 {
			truth = b.subject.seen(slices) - began
		}
		e := k/ratio/truth - 1
		sum, squares, looked = sum+e, squares+e*e, looked+k
		independent := truth * (1 - ratio) / ratio
		formula += math.Sqrt(independent) / truth
		if variance := between.Add(k/ratio, 1); i >= untold {
			told++
			if math.Abs(e*truth) <= 2*math.Sqrt(max(variance, independent)) {
				covered++
			}
		}
	}
	n := float64(b.repeats)
	mean := sum / n
	deviation := math.Sqrt((squares/n - mean*mean) * n / (n - 1))
	fmt.Printf("| `%s` | %s | %+.2f %% | %.2f %% | %+.1f | %.2f %% | %.2f %% | %.0f %% | %.0f |\n", q.family, m.kind, 100*mean, 100*deviation/math.Sqrt(n),
		mean/(deviation/math.Sqrt(n)), 100*deviation, 100*formula/n, 100*covered/told, looked/n)
	return nil
}

// share is the share of the time in which a window was open.
func share(before, after probe.Opening) float64 {
	return float64(after.Open-before.Open) / float64(after.Elapsed-before.Elapsed)
}
