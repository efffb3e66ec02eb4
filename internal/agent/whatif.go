package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// Forecast measures what measuring costs now, and in the same time what plan p would
// cost: its programs are tried for a second beside those in force, in a kernel side of
// their own that counts for nobody and is gone afterwards. Shares of events are priced
// as all events.
func (a *Agent) Forecast(ctx context.Context, p policy.Plan) (metric.Forecast, error) {
	var f metric.Forecast
	t, err := a.trial(p)
	if err != nil {
		return f, err
	}
	var tried error
	var both sync.WaitGroup
	both.Go(func() { f.Then, tried = t.run(ctx) })
	f.Now, err = a.Cost(ctx)
	both.Wait()
	if err = errors.Join(err, tried, t.close()); err != nil {
		return f, err
	}
	t.complete(&f)
	return f, nil
}

// A trial is a plan in a kernel side of its own.
type trial struct {
	weighing
	cgroups map[uint64]uint32 // slots by id
	highest uint32
	wanted  []*metric.Family // of any target
	series  map[string]int   // that it would report, by family
}

// trial prepares one: who the targets are, and what the plan wants of each.
func (a *Agent) trial(p policy.Plan) (*trial, error) {
	t := &trial{weighing: weighing{a: a, interval: max(p.Interval, time.Millisecond)}, cgroups: map[uint64]uint32{}, series: map[string]int{}}
	wanted, now := map[*metric.Family]bool{}, time.Now()
	err := a.do(func() error {
		for _, x := range a.tree.targets {
			y := &target{Target: x.Target, slot: x.slot}
			wants, current := p.For(x.Target, now), x.current()
			for _, f := range a.families {
				w, ok := wants[f.Name]
				if !ok || !belongs(f, x) {
					continue
				}
				y.wants, wanted[f] = append(y.wants, f), true
				labels := current[f]
				if x.windows == 0 || !slices.Contains(x.wants, f) || f.Name == cgroup.Restarts {
					labels = possible(f)
				}
				t.series[f.Name] += reported(f, w.Labels, labels)
				if f.Object != "" {
					y.probed = append(y.probed, f)
				}
			}
			t.targets = append(t.targets, y)
		}
		t.highest = a.tree.highest
		for id, g := range a.tree.groups {
			t.cgroups[id] = a.tree.slotOf(g)
		}
		return nil
	})
	for _, f := range a.families {
		if wanted[f] {
			t.wanted = append(t.wanted, f)
		}
	}
	if err != nil || a.probes == nil {
		return t, err
	}
	if t.probes, err = probe.Open(probe.Options{Families: a.families, Object: a.object, Cgroup2: a.host.V2}); err != nil {
		return nil, fmt.Errorf("try plan: %w", err)
	}
	return t, nil
}

// run measures the trial's programs.
func (t *trial) run(ctx context.Context) (metric.Bill, error) {
	t.began = time.Now()
	if t.probes == nil {
		return t.billing().finish(), nil
	}
	var faults []error
	for id, slot := range t.cgroups {
		faults = append(faults, t.probes.SetCgroup(id, probe.Cgroup{Slot: slot}))
	}
	// What this kernel refuses is refused in force, too: it has no price.
	_ = t.probes.Want(t.wanted)
	for _, x := range t.targets {
		faults = append(faults, t.probes.Switch(x.slot, x.probed))
	}
	t.probes.Pass() // sockets that are older than the trial
	faults = append(faults, t.probes.Reserve(t.highest, t.wanted), t.probes.Tick())
	if err := errors.Join(faults...); err != nil {
		return metric.Bill{}, fmt.Errorf("try plan: %w", err)
	}
	t.events = t.counts()
	t.window, t.began, t.ticks = t.probes.Watch(), time.Now(), 1
	timer := time.NewTimer(minBill)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	t.probes.Pass()
	if err := t.probes.Tick(); err != nil {
		t.weighing.close()
		return metric.Bill{}, fmt.Errorf("try plan: %w", err)
	}
	b := t.billing()
	costs, err := t.window.End()
	if err != nil {
		return metric.Bill{}, err
	}
	b.programs(costs)
	b.filePrices()
	b.memory()
	return b.finish(), nil
}

func (t *trial) close() error {
	if t.probes == nil {
		return nil
	}
	return t.probes.Close()
}

// filePrices are what files would cost by the catalogue's prices: they are not read.
func (b *billing) filePrices() {
	per := 1 / b.interval.Seconds()
	for _, x := range b.targets {
		for _, f := range x.wants {
			if f.Tier == metric.File {
				c := b.container(f, x.ID)
				c.EventsPerSecond, c.CPUPercent = per, percent(f.CostNs, b.interval.Seconds())
				b.family(f).CPUPercent += c.CPUPercent
			}
		}
	}
}

// complete adds to a forecast what a trial does not tell: files at what they cost now,
// where they are read now, series, and the process.
func (t *trial) complete(f *metric.Forecast) {
	now := map[string]metric.FamilyCost{}
	for _, c := range f.Now.Families {
		now[c.Family] = c
	}
	passes := 0.0 // what the process itself does more
	for i := range f.Then.Families {
		c := &f.Then.Families[i]
		was, known := now[c.Family]
		if known && c.Tier == metric.File && was.CPUPercent > 0 {
			*c = was
		}
		c.Series = t.series[c.Family]
		f.Then.Node.Series += c.Series
		if c.Tier != metric.Event {
			passes += c.CPUPercent
		}
	}
	n := &f.Then.Node
	n.Series += f.Now.Node.Series // of what has no price, the agent's own
	for _, c := range now {
		n.Series -= c.Series
		if c.Tier != metric.Event {
			passes -= c.CPUPercent
		}
	}
	n.AgentPercent = max(0, f.Now.Node.AgentPercent+passes)
	n.StorePercent = f.Now.Node.StorePercent * float64(n.Series) / float64(max(1, f.Now.Node.Series))
	n.CPUPercent = n.ProgramsPercent + n.AgentPercent + n.StorePercent
	slices.SortStableFunc(f.Then.Families, dearer)
}
