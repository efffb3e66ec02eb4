// Package agent is the loop of the privileged process: a plan comes in, the
// targets of the machine are found, named and measured, and batches go out.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// A Sink takes batches. Publish may keep the batch, which nobody modifies any
// more, unless Options.Reuse says that none does; an error is counted and logged, and
// the batch is not offered again.
type Sink interface {
	Publish(ctx context.Context, b *metric.Batch) error
}

// Options of New.
type Options struct {
	Host     *cgroup.Host
	Families []*metric.Family
	Object   func(name string) ([]byte, error) // compiled objects by hook group
	Sinks    []Sink
	Reuse    bool              // no sink keeps a batch, or its groups, samples and histograms, after Publish: their memory serves again
	Governed func(budget.Step) // told of each step of the governor, one after the other; nil: only logged
	Notice   func(Notice)      // is told what the agent does by itself, from any goroutine; nil: nobody is
	Log      *slog.Logger      // nil: silent
}

// An Agent measures one machine. Apply and Status may be called from any
// goroutine while Run runs.
type Agent struct {
	host     *cgroup.Host
	families []*metric.Family
	byName   map[string]*metric.Family
	log      *slog.Logger
	probes   *probe.Set // nil: the file tier alone
	why      error      // why probes is nil
	object   func(name string) ([]byte, error)
	epoch    time.Time

	plan       policy.Plan
	tree       tree
	recognizer *recognizer
	apps       *appWorker
	queues     []*queue
	lender     lender
	readings   []metric.Reading // scratch of the loop
	seq        uint64
	last       time.Time // end of the last window
	own        own
	governing  governing
	governed   func(budget.Step)
	weighing   *weighing   // of costs; nil unless one is under way
	costing    sync.Mutex  // held by who measures costs: one after the other
	jobs       chan func() // run by the loop, which owns everything above
	events     chan probe.Event
	done       chan struct{} // closed when the loop has ended
}

// New prepares an agent: the kernel side that knows targets is loaded, nothing is
// measured yet. Where BPF cannot be had at all, the agent works with the file tier
// alone and Reason says why. Run releases what New took.
func New(o Options) (*Agent, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		host: o.Host, families: o.Families, log: o.Log, epoch: time.Now(), byName: map[string]*metric.Family{},
		governed: o.Governed, object: o.Object, governing: governing{taken: map[budget.Lever]uint64{}},
		lender: newLender(o.Reuse), jobs: make(chan func()), events: make(chan probe.Event, 1024), done: make(chan struct{}),
	}
	for _, f := range o.Families {
		a.byName[f.Name] = f
	}
	a.probes, a.why = probe.Open(probe.Options{Families: o.Families, Object: o.Object, Cgroup2: o.Host.V2, NameOf: a.nameOf})
	if a.why != nil {
		a.probes = nil
		a.log.Warn("file tier only", "err", a.why)
	}
	a.tree = newTree(a)
	a.recognizer = newRecognizer()
	a.apps = newAppWorker(o.Host, o.Log, o.Notice)
	a.own.init(a)
	for _, s := range o.Sinks {
		a.queues = append(a.queues, newQueue(s, o.Log))
	}
	return a, nil
}

// Reason is why no BPF family can work, nil when they can.
func (a *Agent) Reason() error { return a.why }

// Run measures until ctx ends, then once more, hands everything to the sinks and
// releases the kernel side.
func (a *Agent) Run(ctx context.Context) error {
	defer close(a.done)
	events, stop := context.WithCancel(context.WithoutCancel(ctx))
	told := a.telling()
	listening := make(chan error, 1)
	go func() { listening <- a.listen(events) }()
	go a.recognizer.run(events, a.host.Processes)
	go a.apps.run(events)
	for _, q := range a.queues {
		go q.run()
	}
	err := a.tree.resync(time.Now())
	if err == nil {
		a.loop(ctx)
		a.tick(time.Now(), true)
	}
	stop()
	a.recognizer.close()
	told()
	a.apps.close()
	err = errors.Join(err, <-listening)
	for _, q := range a.queues {
		q.close()
	}
	a.tree.close()
	a.own.statm.Close()
	if a.probes != nil {
		err = errors.Join(err, a.probes.Close())
	}
	return err
}

// listen passes events of the kernel side on to the loop.
func (a *Agent) listen(ctx context.Context) error {
	if a.probes == nil {
		return nil
	}
	return a.probes.Events(ctx, func(e probe.Event) {
		select {
		case a.events <- e:
		case <-ctx.Done():
		}
	})
}

// namePause is how long the loop waits before it looks again for the names of
// new containers.
const namePause = 25 * time.Millisecond

func (a *Agent) loop(ctx context.Context) {
	tick := time.NewTimer(time.Hour)
	names := time.NewTimer(namePause)
	apps := newPulse(appPause)
	defer apps.Stop()
	armed := true
	// A timer that runs is left alone: events may come faster than it.
	await := func() {
		if !armed && (a.tree.unnamed() || a.tree.eager()) {
			armed = true
			names.Reset(namePause)
		}
		apps.want(a.tree.probesApps())
	}
	var slot time.Time // of the tick that is due next, in windows of interval
	var interval time.Duration
	next := func() {
		interval = a.interval()
		slot = time.Now().Truncate(interval).Add(interval)
		tick.Reset(time.Until(slot))
	}
	for {
		if a.interval() != interval {
			next()
		}
		select {
		case <-ctx.Done():
			return
		case job := <-a.jobs:
			job()
			await()
		case e := <-a.events:
			a.tree.event(e, time.Now())
			await()
		case <-names.C:
			armed = false
			a.tree.name(time.Now())
			a.tree.recognize(time.Now())
			await()
		case found := <-a.recognizer.answers:
			a.tree.recognized(found, time.Now())
			await()
		case <-a.governing.windows:
			a.govern()
		case <-apps.C:
			a.tree.lookApps(time.Now())
			await()
		case found := <-a.apps.answers:
			a.tree.tookApps(found)
		case <-tick.C:
			a.tick(slot, false)
			a.tree.recognize(time.Now())
			await()
			next()
		}
	}
}

// Apply makes p the plan. When it returns the plan is in force: the switches of
// every target are set.
func (a *Agent) Apply(p policy.Plan) error {
	if p.Interval <= 0 {
		return fmt.Errorf("plan %d: interval %v, want more than 0", p.Generation, p.Interval)
	}
	for _, r := range p.Rules {
		for _, w := range r.Wants {
			f := a.byName[w.Family]
			if f == nil {
				return fmt.Errorf("plan %d, %s: unknown family %q", p.Generation, r.Origin, w.Family)
			}
			if err := errors.Join(policy.CheckRatio(w.Ratio, f), policy.CheckLabels(w.Labels, f)); err != nil {
				return fmt.Errorf("plan %d, %s: %w", p.Generation, r.Origin, err)
			}
		}
	}
	return a.do(func() error {
		others := !reflect.DeepEqual(a.plan.Patterns, p.Patterns)
		a.plan = p
		a.limit(p.Budget)
		if others {
			a.tree.reconsider()
		}
		err := a.tree.enforce(time.Now())
		a.prime()
		return err
	})
}

// Status tells which families work here, by which hook, or why not. Families of
// the file tier are not in it.
func (a *Agent) Status() ([]probe.Status, error) {
	var out []probe.Status
	err := a.do(func() error {
		if a.probes != nil {
			out = a.probes.Status()
		}
		return nil
	})
	return out, err
}

// Targets lists the targets of now, and those that ended and are not yet forgotten.
// They are not to be modified.
func (a *Agent) Targets() ([]*metric.Target, error) {
	var out []*metric.Target
	err := a.do(func() error {
		for _, x := range a.tree.targets {
			out = append(out, x.Target)
		}
		return nil
	})
	return out, err
}

// ErrStopped says that the agent's loop has ended.
var ErrStopped = errors.New("agent has stopped")

// do runs f in the loop.
func (a *Agent) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case a.jobs <- func() { result <- f() }:
		return <-result
	case <-a.done:
		return ErrStopped
	}
}
