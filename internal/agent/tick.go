package agent

import (
	"errors"
	"fmt"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
)

// prime starts the series of what a new plan wants, so that the first window is
// whole. What cannot be read now is said by the first window.
func (a *Agent) prime() {
	if a.last.IsZero() {
		a.last = time.Now()
	}
	a.check(a.pass())
	for _, x := range a.tree.targets {
		a.readings, _ = a.read(x, a.readings[:0])
		for i := range a.readings {
			x.begin(i, &a.readings[i])
		}
	}
}

// pass brings the cells of the kernel side up to date.
func (a *Agent) pass() error {
	if a.probes == nil {
		return nil
	}
	return a.probes.Tick()
}

// tick measures one window and publishes it. slot is the window's planned end.
func (a *Agent) tick(slot time.Time, partial bool) {
	if a.plan.Interval <= 0 {
		return
	}
	now := time.Now()
	a.follow(now)
	for _, x := range a.tree.targets {
		a.tree.adopt(x)
	}
	if a.plan.Lapsed(a.last, now) {
		a.check(a.tree.enforce(now))
	}
	faults := a.faults(a.pass())
	b := a.lender.batch()
	b.Node, b.Epoch, b.Seq, b.Generation = a.host.Node, a.epoch.UnixNano(), a.seq+1, a.plan.Generation
	b.Slot, b.Start, b.End, b.Interval = slot.UTC(), a.last, now, a.interval()
	for _, x := range a.tree.targets {
		var err error
		b.Groups = grow(b.Groups)
		g := &b.Groups[len(b.Groups)-1]
		g.Target, g.Last = x.Target, x.drained
		if g.Samples, a.readings, err = a.measure(x, g.Samples, a.readings); err != nil && !errors.Is(err, cgroup.ErrGone) {
			faults = append(faults, fmt.Sprintf("%s: %v", x.Name(), err))
		}
		if len(g.Samples) == 0 && !g.Last {
			b.Groups = b.Groups[:len(b.Groups)-1]
		}
	}
	a.check(a.tree.drop())
	a.seq, a.last = b.Seq, now
	b.Faults, b.Partial = faults, partial || len(faults) > 0
	if a.weighing != nil {
		a.weighing.ticks++
	}
	a.own.ticked(a, b, time.Since(now))
	l := a.lender.lend(b, len(a.queues))
	for _, q := range a.queues {
		q.put(l)
	}
}

// follow makes the tree true where events did not: they were lost, there are
// none, or a target lingers.
func (a *Agent) follow(now time.Time) {
	if a.probes == nil {
		a.check(a.tree.resync(now))
		return
	}
	if lost := a.probes.EventsLost(); lost != a.tree.lost {
		a.tree.lost = lost
		a.log.Warn("events of cgroups lost: looking through all", "lost", lost)
		a.check(a.tree.resync(now))
	}
	a.tree.expire(now)
	if len(a.tree.crowded) > 0 {
		a.tree.uncrowd(now)
	}
}

func (a *Agent) check(err error) {
	if err != nil {
		a.log.Error("not everything is measured", "err", err)
	}
}

func (a *Agent) faults(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}
