package budget

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Limits are what measuring may cost on a node; a limit of 0 is none.
type Limits struct {
	CPU    float64  // share of one CPU, programs and the agent's process together
	Bytes  int      // of kernel memory
	Series int      // samples in a batch
	Value  []string // families, the most valuable first; others come after them in the order of the catalogue
}

// A Reading is what one short window measured.
type Reading struct {
	Programs float64 // share of one CPU: BPF programs in others' time
	Process  float64 // share of one CPU: this process
	Bytes    int
	Series   int
	Families []FamilyUse // wanted now, in the order of the catalogue
}

// A FamilyUse is one family's part of a reading.
type FamilyUse struct {
	Family *metric.Family
	CPU    float64 // share of one CPU
	Enter  float64 // of that: entering its programs, which a lower rate does not save
	Bytes  int
	Series int
}

// A Lever is a way to give something up.
type Lever string

// The levers, in the order in which they are pulled.
const (
	Rate     Lever = "rate"     // a share of the events
	Interval Lever = "interval" // longer windows
	Form     Lever = "form"     // the sum in place of the histogram
	Drop     Lever = "drop"     // a family goes
	Stop     Lever = "stop"     // all of the event tier is detached
)

// Levers lists all.
func Levers() []Lever { return []Lever{Rate, Interval, Form, Drop, Stop} }

// A Step is one thing that was given up, or is given back.
type Step struct {
	Time     time.Time
	Lever    Lever
	Families []string // Rate, Form, Drop
	Rate     float64  // Rate: of the plan's ratio
	Sum      string   // Form: the family that takes its place
	Stretch  int      // Interval: windows are so many times as long
	Undo     bool     // it is given back
	Why      string

	bytes, series int // what the families had
}

// Rules of the governor, in its windows of one second.
const (
	patience    = 2   // windows over the limit before the first thing is given up
	calmShare   = 0.8 // of every limit: below it something may come back
	fitShare    = 0.9 // of the limit of CPU: more is not expected after a return
	firstHold   = 5   // calm windows before the first thing comes back
	nextHold    = 2   // and before each that follows
	longestHold = 30  // after things had to go again at once
	relapse     = 10  // windows after a return in which going over counts as its fault
	stopShare   = 2.0 // of the limit of CPU: everything stops
	firstStop   = 10  // windows that a stop lasts
	longestStop = 30
	firstRate   = 0.25 // of the plan's ratio
	lowestRate  = 0.1
	worthwhile  = 0.05 // of the excess: what saves less is left alone
)

// A Governor decides what is given up so that measuring stays within limits, and when
// it comes back. It is not safe for concurrent use.
type Governor struct {
	limits  Limits
	steps   []Step   // in force, oldest first
	over    int      // windows in a row
	calm    int      // windows in a row
	hold    int      // calm windows that are asked for now
	base    int      // hold of the next first return
	since   int      // windows since something came back; large when that is long ago
	stopped int      // windows that the stop has yet to last
	stopFor int      // of the last stop
	settle  int      // windows that are not judged: something has just changed
	guilty  []string // families for which it stopped
	tried   []Step   // what came back last
}

// New is a governor that has given up nothing.
func New(l Limits) *Governor {
	return &Governor{limits: l, base: firstHold, hold: firstHold, since: relapse + 1}
}

// Steps are those in force, oldest first. They are not to be modified.
func (g *Governor) Steps() []Step { return g.steps }

// Judge takes what a window measured and gives the steps that are to be taken now.
func (g *Governor) Judge(r Reading, now time.Time) []Step {
	g.since++
	if g.stopped > 0 {
		if g.stopped--; g.stopped > 0 {
			return nil
		}
		return g.resume(now)
	}
	if g.mustStop(&r) {
		return g.stop(&r, now)
	}
	if g.settle > 0 {
		g.settle--
		return nil
	}
	switch {
	case g.isOver(&r, 1):
		g.calm = 0
		back := g.since <= relapse // what came back was too much
		// Where something is given up already it was not enough: no more patience.
		if g.over++; g.over < patience && len(g.steps) == 0 && !back {
			return nil
		}
		g.over = 0
		if back {
			g.base = min(2*g.base, longestHold)
		}
		g.hold = g.base
		return g.giveUp(&r, now, back)
	case len(g.steps) == 0:
		g.over, g.base, g.hold = 0, firstHold, firstHold
		return nil
	case g.isOver(&r, calmShare) || !g.fits(&r):
		g.over, g.calm = 0, 0
		return nil
	}
	g.over = 0
	if g.calm++; g.calm < g.hold {
		return nil
	}
	return g.giveBack(now)
}

func (g *Governor) isOver(r *Reading, share float64) bool {
	l := g.limits
	return l.CPU > 0 && r.Programs+r.Process > l.CPU*share || l.Bytes > 0 && float64(r.Bytes) > float64(l.Bytes)*max(share, 1) ||
		l.Series > 0 && float64(r.Series) > float64(l.Series)*max(share, 1)
}

// fits reports whether what was given up last has room again. What a rate will cost of
// CPU is told by what it costs now; what is off can only be tried.
func (g *Governor) fits(r *Reading) bool {
	l, last := g.limits, g.steps[len(g.steps)-1]
	if last.Lever == Rate && l.CPU > 0 {
		more := 0.0
		for i := range r.Families {
			if u := &r.Families[i]; slices.Contains(last.Families, u.Family.Name) {
				more += (u.CPU - u.Enter) * (g.rateBefore(u.Family.Name)/last.Rate - 1)
			}
		}
		if r.Programs+r.Process+more > l.CPU*fitShare {
			return false
		}
	}
	return (l.Bytes == 0 || r.Bytes+last.bytes <= l.Bytes) && (l.Series == 0 || r.Series+last.series <= l.Series)
}

// mustStop: detaching programs helps only where it is they that cost.
func (g *Governor) mustStop(r *Reading) bool {
	total := r.Programs + r.Process
	return g.limits.CPU > 0 && total > stopShare*g.limits.CPU && r.Programs > total/2
}

func (g *Governor) stop(r *Reading, now time.Time) []Step {
	if g.since <= relapse || g.stopFor == 0 {
		g.stopFor = min(max(firstStop, 2*g.stopFor), longestStop)
	} else {
		g.stopFor = firstStop
	}
	g.stopped, g.over, g.calm = g.stopFor, 0, 0
	g.guilty = g.dearest(r)
	s := Step{Time: now, Lever: Stop, Why: fmt.Sprintf("%s of one CPU, more than twice the budget of %s: all programs of the event tier are detached for %d s",
		percent(r.Programs+r.Process), percent(g.limits.CPU), g.stopped)}
	g.steps = append(g.steps, s)
	return []Step{s}
}

// dearest are the event families without which the reading would have been within the
// limit, the dearest first.
func (g *Governor) dearest(r *Reading) (names []string) {
	uses := slices.Clone(r.Families)
	slices.SortStableFunc(uses, func(a, b FamilyUse) int { return cmp.Compare(b.CPU, a.CPU) })
	excess := r.Programs + r.Process - g.limits.CPU
	for _, u := range uses {
		if excess <= 0 || u.CPU <= 0 {
			break
		}
		if u.Family.Gated() {
			names, excess = append(names, u.Family.Name), excess-u.CPU
		}
	}
	return names
}

// resume ends a stop; the families that caused it stay off for now.
func (g *Governor) resume(now time.Time) []Step {
	last := len(g.steps) - 1
	back := g.steps[last]
	back.Time, back.Undo, back.Why = now, true, fmt.Sprintf("the stop of %d s is over", g.stopFor)
	g.steps = g.steps[:last]
	out := []Step{back}
	if len(g.guilty) > 0 {
		s := Step{Time: now, Lever: Drop, Families: g.guilty, Why: "they cost most when everything was stopped"}
		g.steps = append(g.steps, s)
		out = append(out, s)
	}
	g.since, g.settle, g.hold, g.calm = 0, 1, g.base, 0
	return out
}

// giveBack undoes the last step.
func (g *Governor) giveBack(now time.Time) []Step {
	last := len(g.steps) - 1
	s := g.steps[last]
	g.steps = g.steps[:last]
	g.tried = []Step{s}
	s.Time, s.Undo, s.Why = now, true, fmt.Sprintf("below %.0f %% of the budget for %d s", calmShare*100, g.calm)
	g.calm, g.hold, g.since = 0, nextHold, 0
	return []Step{s}
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", share*100) }
