package agent

import (
	"context"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// How often a target is looked at before it is given up as unknown: a container's
// first process is its runtime's, then perhaps a shell. The pause doubles each time,
// so that all tries take some 13 s. What is older than the agent has become what it is.
const (
	recognizeTries = 8
	recognizePause = 50 * time.Millisecond
	oldTries       = 2
	eagerTries     = 5 // in the first second: between ticks, too
)

// questions is how many targets may wait to be looked at.
const questions = 256

// A recognizer tells which software targets run. It looks at processes away from the
// loop, which must not wait: whoever owns a process can make such a look hang.
type recognizer struct {
	asked   chan question
	answers chan answer
	done    chan struct{}
}

type question struct {
	of       *target
	is       *metric.Target
	patterns []policy.Pattern
	edition  int
}

type answer struct {
	of      *target
	edition int
	pattern *policy.Pattern // nil: unknown
	empty   bool            // no process was there to look at
}

// recognition is how far a target is on its way to a pattern.
type recognition struct {
	tries int
	next  time.Time
	asked bool
	over  bool
}

func newRecognizer() *recognizer {
	return &recognizer{asked: make(chan question, questions), answers: make(chan answer), done: make(chan struct{})}
}

// run answers questions until they are closed or ctx ends.
func (r *recognizer) run(ctx context.Context, look func(path string, needs policy.Needs) []policy.Process) {
	defer close(r.done)
	for q := range r.asked {
		processes := look(q.is.Cgroup, policy.NeedsOf(q.patterns))
		found := policy.Recognize(q.patterns, q.is, processes)
		select {
		case r.answers <- answer{q.of, q.edition, found, len(processes) == 0}:
		case <-ctx.Done():
			return
		}
	}
}

// close ends run. One that hangs in a process's file system is left behind.
func (r *recognizer) close() {
	close(r.asked)
	select {
	case <-r.done:
	case <-time.After(finishTime):
	}
}

// recognize asks about the targets that are due.
func (t *tree) recognize(now time.Time) {
	for _, x := range t.targets {
		if !x.recognizable() || x.recognition.asked || now.Before(x.recognition.next) {
			continue
		}
		select {
		case t.a.recognizer.asked <- question{x, x.Target, t.a.plan.Patterns, t.edition}:
			x.recognition.asked = true
		default:
			return // asked at the next tick
		}
	}
}

// eager reports whether a young target should be looked at before the next tick.
func (t *tree) eager() bool {
	return len(t.a.plan.Patterns) > 0 && slices.ContainsFunc(t.targets, func(x *target) bool { return x.recognizable() && x.recognition.tries < eagerTries })
}

func (x *target) recognizable() bool {
	return x.group != nil && !x.recognition.over && x.Ended.IsZero()
}

// recognized takes an answer. What is provisional may be a wrapper's: it stands, and
// is looked at again.
func (t *tree) recognized(a answer, now time.Time) {
	x := a.of
	x.recognition.asked = false
	if a.edition != t.edition || !slices.Contains(t.targets, x) {
		return
	}
	x.recognition.next = now.Add(recognizePause << x.recognition.tries)
	if x.recognition.tries++; a.empty && a.pattern == nil { // it is looked at, rarely, until somebody moves in
		x.recognition.tries = min(x.recognition.tries, recognizeTries-1)
	}
	x.recognition.over = x.recognition.tries >= recognizeTries || a.pattern != nil && !a.pattern.Provisional()
	name := x.Pattern
	if a.pattern != nil {
		name = a.pattern.Name
	} else if x.recognition.over {
		name = ""
	}
	if name == x.Pattern {
		return
	}
	known := *x.Target
	known.Pattern = name
	x.Target = &known
	if err := t.enforceOne(x, now); err != nil {
		t.a.log.Error("target not measured in full", "target", x.Name(), "err", err)
	}
}

// reconsider looks at every target anew: the patterns are others.
func (t *tree) reconsider() {
	t.edition++
	for _, x := range t.targets {
		x.recognition.over, x.recognition.next = false, time.Time{}
		x.recognition.tries = min(x.recognition.tries, recognizeTries-oldTries)
		if !x.born {
			x.recognition.tries = recognizeTries - oldTries
		}
	}
}
