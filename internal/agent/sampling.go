package agent

import (
	"errors"
	"maps"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// A ratio is kept by two things. The hook's window is as wide as whoever wants most
// of the family has it, and closed for everybody the rest of the time, which is what
// pays; those who want less take a share of the events in it.

// ratios are the shares of events that are wanted of families, where below 1.
type ratios map[*metric.Family]float64

func (r ratios) of(f *metric.Family) float64 {
	if ratio, ok := r[f]; ok {
		return ratio
	}
	return 1
}

// add takes in what is wanted of a family.
func (r *ratios) add(f *metric.Family, w policy.Want) {
	if w.Ratio >= 1 || f.Sampling != metric.Events {
		return
	}
	if *r == nil {
		*r = ratios{}
	}
	(*r)[f] = w.Ratio
}

// periods is how many windows there are in an interval, of which at least so many
// must have passed before what they measured of themselves says more than the plan.
const (
	periods      = 10
	enoughPeriod = 4
)

// leastWindow is how short a window may be: what the timer is late by (some 10 us; more
// in a virtual machine) must be little of it, since the CPU that it interrupts counts
// nothing meanwhile. Smaller ratios take a share of the events in it.
const leastWindow = time.Millisecond

// period is the time in which each window is open once: short enough to meet all
// that goes on in an interval, long enough for the timer.
func period(interval time.Duration) time.Duration {
	return min(max(interval/periods, 5*time.Millisecond), 100*time.Millisecond)
}

// share sets windows and shares to what targets and templates want, and switches new
// templates on.
func (t *tree) share() error {
	if t.a.probes == nil {
		return nil
	}
	faults := []error{t.setShares()}
	for _, m := range t.templates {
		if !m.on {
			m.on = true
			faults = append(faults, t.a.probes.Switch(m.slot, m.wants), t.a.probes.Reserve(t.highest, t.future))
		}
	}
	return errors.Join(faults...)
}

// sampled reports whether a share of some family's events is wanted anywhere.
func (t *tree) sampled() bool {
	for _, m := range t.templates {
		if len(m.ratios) > 0 {
			return true
		}
	}
	return slices.ContainsFunc(t.targets, func(x *target) bool { return len(x.ratios) > 0 })
}

func (t *tree) setShares() error {
	sampled := t.sampled()
	if !sampled && !t.sampling {
		return nil
	}
	most := map[*metric.Family]float64{}
	for _, m := range t.templates {
		for _, f := range m.wants {
			most[f] = max(most[f], m.ratios.of(f))
		}
	}
	for _, x := range t.targets {
		for _, f := range x.probed {
			if f.Gated() {
				most[f] = max(most[f], x.ratios.of(f))
			}
		}
	}
	t.sampling = true // while shares change
	p := period(t.a.plan.Interval)
	for f, ratio := range most {
		most[f] = max(ratio, float64(leastWindow)/float64(p))
	}
	err := t.a.probes.Windows(most, p, t.settleAll)
	for _, m := range t.templates {
		t.a.probes.Thin(m.slot, t.within(m.ratios), func([]*metric.Family) {})
	}
	for _, x := range t.targets {
		t.a.probes.Thin(x.slot, t.within(x.ratios), func(changed []*metric.Family) { t.settleShare(x, changed) })
	}
	t.sampling = sampled
	return err
}

// within is what ratios are of the events in the windows.
func (t *tree) within(wanted ratios) map[*metric.Family]float64 {
	shares := maps.Clone(wanted)
	for f, ratio := range shares {
		shares[f] = ratio / t.a.probes.Window(f)
	}
	return shares
}

// settleAll closes the accounts of families before their windows change.
func (t *tree) settleAll(changed []*metric.Family) {
	for _, x := range t.targets {
		t.settleShare(x, changed)
		for _, f := range changed {
			delete(x.opened, f) // counted anew
		}
	}
}

// settleShare takes in what a target has counted so far under the shares of now.
func (t *tree) settleShare(x *target, changed []*metric.Family) {
	for _, f := range changed {
		var ratio float64
		for _, r := range t.a.probes.Read(x.slot, []*metric.Family{f}, nil) {
			key := seriesKey{r.Family, r.Labels}
			s := x.index[key]
			if s == nil && r.Value == 0 && (r.Hist == nil || len(r.Hist.Counts) == 0) {
				continue
			}
			if s == nil {
				s = &series{seriesKey: key}
				x.index[key] = s
			}
			if ratio == 0 {
				ratio = t.ratio(x, f)
			}
			s.start(&r, true)
			s.take(&r, ratio)
		}
	}
}

// ratio is the share of events at which a family of a target looked since it was
// asked last. Too short a time may have met no window at all: then what the windows
// have been from their beginning, or shall be, is nearer to what could be expected.
func (t *tree) ratio(x *target, f *metric.Family) float64 {
	share, window := t.a.probes.Share(x.slot, f), t.a.probes.Window(f)
	if window == 1 {
		return share
	}
	was, now := x.opened[f], t.a.probes.Opened(f)
	if x.opened == nil {
		x.opened = map[*metric.Family]probe.Opening{}
	}
	x.opened[f] = now
	enough := enoughPeriod * uint64(t.a.probes.Period())
	for _, since := range []probe.Opening{was, {}} {
		if open := now.Open - since.Open; open > 0 && now.Elapsed-since.Elapsed >= enough {
			return share * float64(open) / float64(now.Elapsed-since.Elapsed)
		}
	}
	return share * window
}

// inForce are the ratios of a target's families since it was asked last.
func (t *tree) inForce(x *target) ratios {
	if !t.sampling {
		return nil
	}
	var out ratios
	for _, f := range x.probed {
		if f.Sampling == metric.Events {
			out.add(f, policy.Want{Ratio: t.ratio(x, f)})
		}
	}
	return out
}

// A template is a slot whose switches and shares new targets copy.
type template struct {
	slot   uint32
	on     bool
	wants  []*metric.Family
	ratios ratios
}

// freeTemplates gives slots of templates back.
func (t *tree) freeTemplates(old map[string]*template) error {
	var faults []error
	for _, m := range old {
		faults = append(faults, t.a.probes.FreeSlot(m.slot))
	}
	return errors.Join(faults...)
}
