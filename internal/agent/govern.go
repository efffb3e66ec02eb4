package agent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// The governor measures programs in a part of each of its windows.
const (
	governEvery  = time.Second
	governWindow = 100 * time.Millisecond
)

// stepsWaiting is how many steps may wait to be told before they are dropped, and
// counted.
const stepsWaiting = 256

// A governing keeps the agent within the plan's budget. The loop owns it.
type governing struct {
	governor  *budget.Governor // nil: no budget
	budget    policy.Budget
	restraint budget.Restraint
	taken     map[budget.Lever]uint64
	untold    uint64
	told      chan budget.Step
	measuring bool
	at        time.Time      // of the last reading of the process's CPU time
	cpu       uint64         // ns
	process   []float64      // shares of one CPU in the last windows
	last      budget.Reading // what was judged last
	ticker    *time.Ticker   // nil: no budget
	windows   <-chan time.Time
}

// limit takes the plan's budget. Where that has changed, everything that was given up
// under the old one comes back and is judged anew.
func (a *Agent) limit(b policy.Budget) {
	g := &a.governing
	if g.governor != nil && slices.Equal(g.budget.Value, b.Value) && g.budget.Limits == b.Limits || g.governor == nil && b.Limits == (policy.Limits{}) {
		return
	}
	if g.governor != nil {
		for _, s := range slices.Backward(g.governor.Steps()) {
			s.Time, s.Undo, s.Why = time.Now(), true, "the budget has changed"
			a.tell(s)
		}
	}
	g.budget, g.governor, g.restraint = b, nil, budget.Restraint{}
	if g.ticker != nil {
		g.ticker.Stop()
		g.ticker, g.windows = nil, nil
	}
	if b.Limits == (policy.Limits{}) {
		return
	}
	g.governor = budget.New(budget.Limits{CPU: b.CPU, Bytes: b.Memory, Series: b.Series, Value: b.Value})
	g.at, g.cpu, g.process = time.Now(), cpuTime(), nil
	g.ticker = time.NewTicker(governEvery)
	g.windows = g.ticker.C
}

// govern begins a window: programs are measured for a part of it.
func (a *Agent) govern() {
	g := &a.governing
	if g.measuring {
		return
	}
	if a.probes == nil {
		a.judge(nil)
		return
	}
	g.measuring = true
	w := a.probes.Watch()
	time.AfterFunc(governWindow, func() {
		err := a.do(func() error {
			g.measuring = false
			costs, err := w.End()
			if err == nil && g.governor != nil {
				a.judge(costs)
			}
			return err
		})
		if errors.Is(err, ErrStopped) {
			w.Close()
		} else if err != nil {
			a.log.Warn("budget not kept: programs not measured", "err", err)
		}
	})
}

// judge has the governor judge a window, and does what it says.
func (a *Agent) judge(costs []probe.Cost) {
	g := &a.governing
	g.last = a.reading(costs)
	steps := g.governor.Judge(g.last, time.Now())
	if len(steps) == 0 {
		return
	}
	g.restraint = g.governor.Restraint()
	a.check(a.tree.enforce(time.Now()))
	if a.probes != nil {
		a.check(a.trim())
	}
	for _, s := range steps {
		a.tell(s)
	}
}

// reading is what a window measured.
func (a *Agent) reading(costs []probe.Cost) budget.Reading {
	r := budget.Reading{Process: a.processShare()}
	cpu, enter, bytes := map[*metric.Family]float64{}, map[*metric.Family]float64{}, map[*metric.Family]int{}
	if a.probes != nil {
		r.Bytes, bytes = a.probes.MapBytes(), a.probes.FamilyBytes()
		users := a.probes.Users()
		for _, c := range costs {
			u := users[c.Program]
			if u.Every > 0 {
				continue // the process's own time
			}
			entering := float64(c.Runs) * a.enter(c.Program, &u) / 1e9 / c.Window.Seconds()
			share := c.Time.Seconds()/c.Window.Seconds() + entering
			r.Programs += share
			for _, f := range u.Families {
				cpu[f] += share / float64(len(u.Families))
				enter[f] += entering / float64(len(u.Families))
			}
		}
	}
	series := a.own.series()
	wanted := map[*metric.Family]bool{}
	for _, x := range a.tree.targets {
		for _, f := range x.wants {
			wanted[f] = true
		}
	}
	for _, f := range a.families {
		r.Series += series[f]
		if wanted[f] || bytes[f] > 0 {
			r.Families = append(r.Families, budget.FamilyUse{Family: f, CPU: cpu[f], Enter: enter[f], Bytes: bytes[f], Series: series[f]})
		}
	}
	return r
}

// processShares is how many windows the process's CPU time is the median of: single
// ones have a plan put in force, or a collection of garbage, in them.
const processShares = 5

func (a *Agent) processShare() float64 {
	g := &a.governing
	now, cpu := time.Now(), cpuTime()
	share := float64(cpu-g.cpu) / float64(now.Sub(g.at))
	g.at, g.cpu = now, cpu
	if len(g.process) == processShares {
		g.process = append(g.process[:0], g.process[1:]...)
	}
	g.process = append(g.process, share)
	sorted := slices.Sorted(slices.Values(g.process))
	return sorted[(len(sorted)-1)/2]
}

// tell logs a step and passes it on to who records them.
func (a *Agent) tell(s budget.Step) {
	g := &a.governing
	level, what := slog.LevelWarn, "budget: given up"
	switch {
	case s.Undo:
		level, what = slog.LevelInfo, "budget: back"
	case s.Lever == budget.Stop:
		level, what = slog.LevelError, "budget: STOPPED, nothing of the event tier is measured"
	}
	a.log.Log(context.Background(), level, what, "lever", string(s.Lever), "families", s.Families, "rate", s.Rate, "stretch", s.Stretch, "why", s.Why)
	if !s.Undo {
		g.taken[s.Lever]++
	}
	if g.told == nil {
		return
	}
	select {
	case g.told <- s:
	default:
		g.untold++
	}
}

// telling passes steps on to who records them, apart from the loop, which must not
// wait; what it gives ends that when all have been told.
func (a *Agent) telling() (end func()) {
	if a.governed == nil {
		return func() {}
	}
	told, done := make(chan budget.Step, stepsWaiting), make(chan struct{})
	a.governing.told = told
	go func() {
		defer close(done)
		for s := range told {
			a.governed(s)
		}
	}()
	return func() { close(told); <-done }
}

// interval is the length of windows: the plan's, or as many times that as the
// governor wants.
func (a *Agent) interval() time.Duration {
	return a.plan.Interval * time.Duration(max(1, a.governing.restraint.Stretch))
}

// wanted is what is wanted of a target and within the budget.
func (a *Agent) wanted(t *metric.Target, now time.Time) map[string]policy.Want {
	wants := a.plan.For(t, now)
	r := &a.governing.restraint
	for f, sum := range r.Sums {
		if w, on := wants[f]; on && a.byName[sum] != nil {
			if _, also := wants[sum]; !also {
				w.Family, w.Labels = sum, w.Labels.Of(a.byName[sum])
				wants[sum] = w
			}
		}
	}
	for f := range wants {
		if r.Off[f] || r.Stopped && a.byName[f].Gated() {
			delete(wants, f)
		} else if rate, ok := r.Rates[f]; ok {
			w := wants[f]
			w.Ratio = max(w.Ratio*rate, policy.MinRatio)
			wants[f] = w
		}
	}
	return wants
}

// trim gives the memory of histograms back that were given up. What they had counted
// stays in the totals of their series.
func (a *Agent) trim() error {
	for _, f := range a.families {
		if !a.governing.restraint.Off[f.Name] || f.Kind != metric.Histogram {
			continue
		}
		freed, err := a.probes.Trim(f)
		if err != nil {
			return err
		}
		if !freed {
			continue
		}
		for _, x := range a.tree.targets {
			for k, s := range x.index {
				if k.family == f {
					s.keep()
				}
			}
		}
	}
	return nil
}

// keep takes what a histogram's cells had counted into the total: they begin at 0.
func (s *series) keep() {
	x := s.extra()
	counted := x.hist
	if len(x.base.Counts) > 0 {
		counted = counted.Sub(&x.base)
	}
	if !x.scaled { // else sum has it
		x.kept.Add(&counted)
	}
	x.hist, x.base = metric.Hist{}, metric.Hist{}
}
