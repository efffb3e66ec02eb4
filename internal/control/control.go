// Package control makes plans: of flags, of policy documents that it follows while
// they change, and of what people change live over a unix socket. Every change is
// recorded with who made it and why.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// An Engine measures what a plan wants.
type Engine interface {
	// Apply puts a plan in force before it returns. Its error says what is not in force;
	// the rest is.
	Apply(policy.Plan) error
	// Targets lists what is measured now.
	Targets() ([]*metric.Target, error)
	// Cost measures for a second or a little longer what measuring costs.
	Cost(context.Context) (metric.Bill, error)
	// Forecast measures that, and what a plan would cost in the same time.
	Forecast(context.Context, policy.Plan) (metric.Forecast, error)
	// AppProbes tells of the application probes that were looked for in files.
	AppProbes() []policy.AppStatus
	// Refused gives the reasons, by name, why families do not work on this machine; of
	// those that need BPF as soon as somebody wanted them.
	Refused() map[string]string
}

// Options of New.
type Options struct {
	Wishes   policy.Wishes // of the flags: interval, base and final rules
	Paths    []string      // files and folders of policy documents
	Families []*metric.Family
	Log      *slog.Logger // nil: silent
}

// Bounds of live changes.
const (
	maxLive = 256 // in force at once
	maxFor  = 30 * 24 * time.Hour
)

// followPause is how often files are looked at, and changes that ended.
const followPause = time.Second

// ErrNotStarted refuses changes before Start.
var ErrNotStarted = errors.New("not started yet; try again")

// A Controller holds the wishes of one node and gives their plan to its engine. Its
// methods may be called from many goroutines.
type Controller struct {
	families []*metric.Family
	paths    []string
	log      *slog.Logger

	mu         sync.Mutex // held while a plan is put in force: one after the other
	engine     Engine     // nil before Start
	wishes     policy.Wishes
	files      []policy.File // in force
	print      string        // of the files that were read last, good or bad
	fault      error         // of those files; nil when they are in force
	live       []live
	generation int64
	plan       policy.Plan
	journal    *journal
	given      []budget.Step // given up by the engine's governor, oldest first
}

// New reads the documents. The error is theirs, all faults of all files.
func New(o Options) (*Controller, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Controller{families: o.Families, paths: o.Paths, log: o.Log, wishes: o.Wishes, journal: &journal{}}
	var err error
	if c.files, c.print, err = read(o.Paths); err != nil {
		return nil, err
	}
	if c.wishes.Documents, err = policy.Parse(c.files, o.Families); err != nil {
		return nil, err
	}
	c.plan = policy.Make(c.wishes, 0, time.Now())
	return c, nil
}

// Record has changes recorded in the file at path, too, and reads those of earlier
// runs. It is called before Start; Close closes the file.
func (c *Controller) Record(path string) (err error) {
	c.journal, err = openJournal(path)
	return err
}

// Start gives e the first plan. The error says what of it is not in force.
func (c *Controller) Start(e Engine) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.engine = e
	return c.apply(time.Now())
}

// Run follows the files, and live changes to their end, and answers on the socket,
// unless that is nil, until ctx ends. What goes wrong meanwhile is logged.
func Run(ctx context.Context, c *Controller, socket net.Listener, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	if socket == nil {
		served <- nil
	} else {
		go func() { served <- serve(ctx, c, socket, log); stop() }()
	}
	c.run(ctx)
	return <-served
}

func (c *Controller) run(ctx context.Context) {
	pause := time.NewTicker(followPause)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
			c.follow(time.Now())
		}
	}
}

// Close releases the journal.
func (c *Controller) Close() error { return c.journal.close() }

// Plan is the one in force. It is not to be modified.
func (c *Controller) Plan() policy.Plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plan
}

// apply makes the plan of the wishes at time now and puts it in force. The caller holds mu.
func (c *Controller) apply(now time.Time) error {
	c.generation++
	c.wishes.Live = nil
	for _, l := range c.live {
		c.wishes.Live = append(c.wishes.Live, l.rules...)
	}
	c.plan = policy.Make(c.wishes, c.generation, now)
	return c.engine.Apply(c.plan)
}

// follow takes files that have changed and lets go of live changes that have ended.
func (c *Controller) follow(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.reload()
	c.live = slices.DeleteFunc(c.live, func(l live) bool {
		if l.Until.IsZero() || now.Before(l.Until) {
			return false
		}
		over := l.Change
		over.Action, over.Of, over.Why, over.Who = "end", l.ID, "its time is over", Who{PID: -1}
		c.record(&over)
		changed = true
		return true
	})
	changed = changed || slices.ContainsFunc(c.wishes.Policies, func(p policy.ProbePolicy) bool {
		return !p.Until.IsZero() && !now.Before(p.Until) && slices.ContainsFunc(c.plan.Rules, func(r policy.Rule) bool { return r.Policy == p.Name })
	})
	if !changed {
		return
	}
	if err := c.apply(now); err != nil {
		c.log.Warn("plan not in force in full", "generation", c.generation, "err", err)
	}
}

// reload reads the files if they have changed and reports whether they are good and
// others than before. Bad ones change nothing.
func (c *Controller) reload() bool {
	if len(c.paths) == 0 {
		return false
	}
	print, err := fingerprint(c.paths)
	if print == c.print {
		return false
	}
	c.print = print
	var files []policy.File
	var documents policy.Documents
	if err == nil {
		files, c.print, err = read(c.paths)
	}
	if err == nil {
		documents, err = policy.Parse(files, c.families)
	}
	if c.fault = err; err != nil {
		c.log.Error("policies not taken: those before stay in force", "err", err)
		return false
	}
	if slices.EqualFunc(files, c.files, func(a, b policy.File) bool { return a.Name == b.Name && string(a.Data) == string(b.Data) }) {
		return false
	}
	c.files, c.wishes.Documents = files, documents
	c.record(&Change{Action: "reload", Why: fmt.Sprintf("files changed: %d policies", len(documents.Policies)), Who: Who{PID: -1}})
	return true
}

// Note records what the engine did by itself. It may be called from any goroutine on which
// no plan waits.
func (c *Controller) Note(action, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record(&Change{Action: action, Why: clip(why), Who: Who{PID: -1}})
}

// AppProbes tells of the application probes that were looked for in files.
func (c *Controller) AppProbes() ([]policy.AppStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine == nil {
		return nil, ErrNotStarted
	}
	return append([]policy.AppStatus{}, c.engine.AppProbes()...), nil
}

// record is for changes that nobody waits for.
func (c *Controller) record(x *Change) {
	x.Time, x.Generation = time.Now(), c.generation+1
	if err := c.journal.add(x); err != nil {
		c.log.Error("change not recorded", "action", x.Action, "err", err)
	}
}

// A Status tells about the policies in force.
type Status struct {
	Generation int64    `json:"generation"`
	Paths      []string `json:"paths"`
	Policies   []string `json:"policies"`
	Live       int      `json:"live"`            // changes in force
	Fault      string   `json:"fault,omitempty"` // of files that were not taken
}

// Status is that of now.
func (c *Controller) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Generation: c.generation, Paths: append([]string{}, c.paths...), Policies: []string{}, Live: len(c.live)}
	for _, p := range c.wishes.Policies {
		s.Policies = append(s.Policies, p.Name)
	}
	if c.fault != nil {
		s.Fault = c.fault.Error()
	}
	return s
}
