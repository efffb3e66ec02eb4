package rig

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A Batch is one line of the agent's output. Values are in base units.
type Batch struct {
	Seq        uint64
	Start, End time.Time
	Faults     []string
	Groups     []struct {
		Target  metric.Target
		Last    bool
		Samples []Sample
	}
}

// A Sample is one family of one target in one window.
type Sample struct {
	Family  string
	Labels  map[string]string
	Value   float64
	Count   *uint64  // histograms only
	Sum     float64  // of a histogram
	Buckets [][2]any // upper bound ("+Inf" for the last) and count
}

func (s *Sample) label() string {
	var values []string
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		values = append(values, s.Labels[k])
	}
	return strings.Join(values, ",")
}

// A Key names a series: Target is the cgroup's path, "node" or "remainder"; Label
// is the labels' values, joined by commas.
type Key struct{ Target, Family, Label string }

// A Hist is a histogram by upper bound.
type Hist struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}

// A Ledger is everything that an agent said, added up: increases of counters and
// histograms, last values of gauges.
type Ledger struct {
	Batches int
	Last    Batch // the newest
	Values  map[Key]float64
	Hists   map[Key]*Hist
	Targets map[string]metric.Target // as said last
	Named   map[string]time.Time     // the end of the window in which a container had its name first
	Ended   map[string]bool
	Faults  []string
}

func newLedger() *Ledger {
	return &Ledger{Values: map[Key]float64{}, Hists: map[Key]*Hist{}, Targets: map[string]metric.Target{}, Named: map[string]time.Time{}, Ended: map[string]bool{}}
}

func (l *Ledger) add(b *Batch, gauges map[string]bool) {
	l.Batches, l.Last = l.Batches+1, *b
	l.Faults = append(l.Faults, b.Faults...)
	for _, g := range b.Groups {
		at := g.Target.Cgroup
		if g.Target.Kind == metric.Node || g.Target.Kind == metric.Remainder {
			at = string(g.Target.Kind)
		}
		l.Targets[at], l.Ended[at] = g.Target, g.Last
		if _, known := l.Named[at]; !known && g.Target.Kind == metric.Container && g.Target.Container != "" {
			l.Named[at] = b.End
		}
		for i := range g.Samples {
			s := &g.Samples[i]
			k := Key{at, s.Family, s.label()}
			switch {
			case s.Count != nil:
				l.hist(k).add(s)
			case gauges[s.Family]:
				l.Values[k] = s.Value
			default:
				l.Values[k] += s.Value
			}
		}
	}
}

func (l *Ledger) hist(k Key) *Hist {
	h := l.Hists[k]
	if h == nil {
		h = &Hist{Buckets: map[float64]uint64{}}
		l.Hists[k] = h
	}
	return h
}

// Sum is a family of a target, over its labels; the count, of histograms.
func (l *Ledger) Sum(target, family string) float64 {
	total := 0.0
	for k, v := range l.Values {
		if k.Target == target && k.Family == family {
			total += v
		}
	}
	for k, h := range l.Hists {
		if k.Target == target && k.Family == family {
			total += float64(h.Count)
		}
	}
	return total
}

// Total is a family over all targets.
func (l *Ledger) Total(family string) float64 {
	total := 0.0
	for k, v := range l.Values {
		if k.Family == family {
			total += v
		}
	}
	return total
}

// An Agent is viperprobe-agent at work. Its ledger may be read under Look only.
type Agent struct {
	Pid    int
	cmd    *exec.Cmd
	errs   bytes.Buffer
	ended  chan error
	mu     sync.Mutex
	ledger *Ledger
}

// StartAgent starts `viperprobe-agent run` of that binary. families tells gauges
// from the rest.
func StartAgent(binary string, families []*metric.Family, args ...string) (*Agent, error) {
	a := &Agent{cmd: exec.Command(binary, append([]string{"run"}, args...)...), ended: make(chan error, 1), ledger: newLedger()}
	a.cmd.Stderr = &a.errs
	out, err := a.cmd.StdoutPipe()
	if err == nil {
		err = a.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	a.Pid = a.cmd.Process.Pid
	gauges := map[string]bool{}
	for _, f := range families {
		gauges[f.Name] = f.Kind == metric.Gauge
	}
	go func() { a.ended <- a.follow(out, gauges) }()
	return a, nil
}

func (a *Agent) follow(out io.Reader, gauges map[string]bool) error {
	for d := json.NewDecoder(bufio.NewReaderSize(out, 1<<20)); ; {
		var b Batch
		if err := d.Decode(&b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("output of agent: %w", err)
		}
		a.mu.Lock()
		a.ledger.add(&b, gauges)
		a.mu.Unlock()
	}
}

// Look lets f read the ledger.
func (a *Agent) Look(f func(*Ledger)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a.ledger)
}

// Wait waits until the ledger is such.
func (a *Agent) Wait(what string, limit time.Duration, done func(*Ledger) bool) error {
	ok := false
	Poll(limit, func() bool {
		a.Look(func(l *Ledger) { ok = done(l) })
		return ok
	})
	if !ok {
		return fmt.Errorf("waited %v in vain: %s", limit, what)
	}
	return nil
}

// Windows waits until n more windows have ended.
func (a *Agent) Windows(n int) error {
	from := 0
	a.Look(func(l *Ledger) { from = l.Batches })
	return a.Wait("windows of the agent", time.Minute, func(l *Ledger) bool { return l.Batches >= from+n })
}

// Stop ends the agent, which drains, and gives the whole ledger. What the agent
// said on standard error is an error.
func (a *Agent) Stop() (*Ledger, error) {
	err := a.cmd.Process.Signal(syscall.SIGTERM)
	err = errors.Join(err, <-a.ended, a.cmd.Wait())
	if a.errs.Len() > 0 {
		err = errors.Join(err, fmt.Errorf("agent: %s", strings.TrimSpace(a.errs.String())))
	}
	return a.ledger, err
}
