package agent

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strconv"
	"time"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// Bounds of the window in which a bill is measured: at least one tick falls into it,
// where windows are not longer than it.
const (
	minBill = time.Second
	maxBill = 10 * time.Second
)

// Cost measures what measuring costs, for one window but at least a second, by the
// kernel's own statistics of programs; they add two readings of the clock to each run
// meanwhile. Who asks while another does waits.
func (a *Agent) Cost(ctx context.Context) (metric.Bill, error) {
	a.costing.Lock()
	defer a.costing.Unlock()
	var w *weighing
	if err := a.do(func() error { w = a.weigh(); return nil }); err != nil {
		return metric.Bill{}, err
	}
	timer := time.NewTimer(min(max(w.interval+w.interval/8, minBill), maxBill))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	var bill metric.Bill
	err := a.do(func() (err error) {
		a.weighing = nil
		bill, err = w.bill()
		return err
	})
	if err != nil {
		w.close()
	}
	return bill, err
}

// A weighing is a measurement of costs under way: what counted at its begin.
type weighing struct {
	a        *Agent
	probes   *probe.Set // nil without a kernel side
	targets  []*target
	interval time.Duration
	began    time.Time
	window   *probe.Window // nil without a kernel side
	events   budget.Events // totals
	files    map[*target]time.Duration
	ticks    int
}

// weigh begins one.
func (a *Agent) weigh() *weighing {
	w := &weighing{a: a, probes: a.probes, targets: slices.Clone(a.tree.targets), interval: max(a.interval(), time.Millisecond), files: map[*target]time.Duration{}}
	if a.probes != nil {
		a.probes.Pass() // so that the pass over descriptors is in it
		w.events = w.counts()
		w.window = a.probes.Watch()
	}
	w.began, a.weighing = time.Now(), w
	return w
}

// close ends the window of a weighing that came to nothing.
func (w *weighing) close() {
	if w.window != nil {
		w.window.Close()
	}
}

// counts are the totals of all event families by target, and for passes how much of
// each target there is to look at.
func (w *weighing) counts() budget.Events {
	out := budget.Events{}
	var buf []metric.Reading
	for _, x := range w.targets {
		buf = w.probes.Read(x.slot, x.probed, buf[:0])
		sizes := map[string]float64{}
		for i := range buf {
			r := &buf[i]
			n := float64(r.Value)
			if r.Hist != nil {
				n = float64(r.Hist.Count())
			}
			if out[r.Family] == nil {
				out[r.Family] = map[metric.TargetID]float64{}
			}
			if r.Family.Gated() {
				out[r.Family][x.ID] += n
			} else {
				sizes[r.Family.Name] += n
			}
		}
		for _, f := range x.probed {
			if !f.Gated() && out[f] != nil {
				out[f][x.ID] = sizes[sizeOf[f.Object]]
			}
		}
	}
	return out
}

// sizeOf is the gauge that tells how much of a target the passes of a hook group look at.
var sizeOf = map[string]string{"task": "threads", "socket": "tcp_connections"}

// bill ends the weighing. It runs in the loop.
func (w *weighing) bill() (metric.Bill, error) {
	w.targets = slices.Clone(w.a.tree.targets)
	b := w.billing()
	if w.probes != nil {
		costs, err := w.window.End()
		if err != nil {
			return metric.Bill{}, err
		}
		b.programs(costs)
	}
	b.fileTier()
	b.node()
	return b.finish(), nil
}

func (w *weighing) billing() *billing {
	b := &billing{weighing: w, took: time.Since(w.began), families: map[*metric.Family]*metric.FamilyCost{}, shares: map[shareKey]*metric.ContainerCost{}}
	b.Window = b.took
	return b
}

type shareKey struct {
	family *metric.Family
	target metric.TargetID
}

// billing adds up one bill.
type billing struct {
	*weighing
	metric.Bill
	took     time.Duration
	families map[*metric.Family]*metric.FamilyCost
	shares   map[shareKey]*metric.ContainerCost
}

func percent(ns, seconds float64) float64 { return ns / seconds / 1e7 }

func (b *billing) family(f *metric.Family) *metric.FamilyCost {
	c := b.families[f]
	if c == nil {
		c = &metric.FamilyCost{Family: f.Name, Tier: f.Tier, Containers: []metric.ContainerCost{}}
		b.families[f] = c
	}
	return c
}

func (b *billing) container(f *metric.Family, id metric.TargetID) *metric.ContainerCost {
	k := shareKey{f, id}
	c := b.shares[k]
	if c == nil {
		c = &metric.ContainerCost{ID: id}
		b.shares[k] = c
	}
	return c
}

func (b *billing) programs(costs []probe.Cost) {
	seconds := b.took.Seconds()
	events := b.counts()
	for f, by := range events {
		for id := range by {
			if f.Gated() {
				by[id] = max(0, by[id]-b.events[f][id])
				if budget.Counts(f) {
					b.container(f, id).EventsPerSecond = by[id] / seconds
				}
			}
		}
	}
	users := b.probes.Users()
	for _, c := range costs {
		u, span := users[c.Program], seconds
		if u.Every > 0 { // so many windows, however many ticks fell into this one
			span = b.interval.Seconds() * float64(max(1, b.ticks))
			if u.Every > 1 { // the weighing asked for one
				span = b.interval.Seconds() * float64(u.Every)
			}
		}
		enter := b.a.enter(c.Program, &u)
		took := float64(c.Time) + float64(c.Runs)*enter
		p := metric.ProgramCost{Program: c.Program, RunsPerSecond: float64(c.Runs) / span, NsPerRun: float64(c.Time) / float64(c.Runs), EnterNs: enter, CPUPercent: percent(took, span)}
		b.Programs = append(b.Programs, p)
		if u.Every == 0 {
			b.Node.ProgramsPercent += p.CPUPercent
		}
		shares := budget.Split(budget.Use{Program: c.Program, Families: u.Families, Runs: float64(c.Runs), Time: took, Iterator: u.Every > 0}, events)
		for _, s := range shares {
			cost := percent(s.Time, span)
			b.family(s.Family).CPUPercent += cost
			switch {
			case s.Target == "":
				b.family(s.Family).GatePercent += cost
			case u.Every == 1:
				x := b.container(s.Family, s.Target)
				x.CPUPercent += cost
				x.EventsPerSecond += p.RunsPerSecond * s.Time / took * float64(len(u.Families))
			default:
				b.container(s.Family, s.Target).CPUPercent += cost
			}
		}
	}
}

// enter is what entering a program costs each run beside the kernel's statistics, in ns:
// an uprobe's trap as it was measured here, a tracepoint's call by price, an iterator nothing.
func (a *Agent) enter(program string, u *probe.User) float64 {
	trap := a.apps.trap.Load()
	switch {
	case u.Every > 0:
		return 0
	case u.Trap && trap > 0:
		return float64(trap)
	}
	return budget.Enter(program, u.Families)
}

// fileTier shares the time in which a target's files were read equally among the
// families that are in them.
func (b *billing) fileTier() {
	if b.ticks == 0 {
		return
	}
	span := b.interval.Seconds() * float64(b.ticks)
	for x, took := range b.files {
		var of []*metric.Family
		for _, f := range x.wants {
			if f.Tier == metric.File {
				of = append(of, f)
			}
		}
		for _, f := range of {
			cost := percent(float64(took)/float64(len(of)), span)
			c := b.container(f, x.ID)
			c.CPUPercent, c.EventsPerSecond = cost, 1/b.interval.Seconds()
			b.family(f).CPUPercent += cost
		}
	}
}

func (b *billing) node() {
	n := &b.Node
	process, sinks := b.a.own.rates()
	n.StorePercent, n.AgentPercent = 100*sinks, 100*max(0, process-sinks)
	n.CPUPercent = n.ProgramsPercent + n.AgentPercent + n.StorePercent
	for f, series := range b.a.own.series() {
		n.Series += series
		if c := b.families[f]; c != nil {
			c.Series = series
		}
	}
	b.memory()
}

// memory is that of the kernel side, here and on machines with more CPUs.
func (b *billing) memory() {
	if b.probes == nil {
		return
	}
	b.Node.KernelBytes = b.probes.MapBytes()
	b.Node.KernelBytesOn = map[string]int{}
	for _, cpus := range []int{8, 64, 128} {
		b.Node.KernelBytesOn[strconv.Itoa(cpus)] = b.probes.MapBytesOn(cpus)
	}
	for f, bytes := range b.probes.FamilyBytes() {
		if bytes > 0 {
			b.family(f).KernelBytes = bytes
		}
	}
}

// finish names targets and sorts.
func (b *billing) finish() metric.Bill {
	names := map[metric.TargetID]string{}
	for _, x := range b.targets {
		names[x.ID] = x.Name()
	}
	for k, c := range b.shares {
		f := b.family(k.family)
		f.EventsPerSecond += c.EventsPerSecond
		if c.Target = names[c.ID]; c.Target == "" {
			c.Target = string(c.ID)
		}
		if c.CPUPercent > 0 {
			f.Containers = append(f.Containers, *c)
		}
	}
	b.Families = make([]metric.FamilyCost, 0, len(b.families))
	for _, f := range b.families {
		if f.EventsPerSecond > 0 {
			f.NsPerEvent = (f.CPUPercent - f.GatePercent) * 1e7 / f.EventsPerSecond
		}
		slices.SortFunc(f.Containers, func(a, b metric.ContainerCost) int {
			return cmp.Or(cmp.Compare(b.CPUPercent, a.CPUPercent), cmp.Compare(a.Target, b.Target))
		})
		b.Families = append(b.Families, *f)
	}
	slices.SortFunc(b.Families, dearer)
	if b.Programs == nil {
		b.Programs = []metric.ProgramCost{}
	}
	return b.Bill
}

func dearer(a, b metric.FamilyCost) int {
	return cmp.Or(cmp.Compare(b.CPUPercent, a.CPUPercent), cmp.Compare(a.Family, b.Family))
}

// readFiles reads a target's files, unless it sleeps, and, while costs are measured,
// how long it took.
func (a *Agent) readFiles(x *target, dst []metric.Reading) ([]metric.Reading, error) {
	read := x.files.Read
	if x.sleeps(a.probes) {
		read = x.files.Asleep
	}
	if a.weighing == nil {
		return read(dst)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := probe.ThreadTime()
	dst, err := read(dst)
	a.weighing.files[x] += probe.ThreadTime() - began
	return dst, err
}
