package probe

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Losses are what the kernel side could not do, since the Set was opened.
type Losses struct {
	Events uint64            // of cgroups: the ring buffer was full
	NoSlot uint64            // new targets for which no slot was left
	NoRoom uint64            // new cgroups for which vp_cgroups had no room
	Failed map[string]uint64 // by hook group: values that could not be counted

	FlowsBeyond uint64 // connections of flows beyond a bound, which count in those for all others
	FlowsUnmet  uint64 // ends of connections that had no room to meet the other: peers are told by address
}

// Losses reads the counters of what was lost.
func (s *Set) Losses() Losses {
	l := Losses{Events: s.EventsLost(), NoSlot: variable(s.core, "vp_no_slot"), NoRoom: variable(s.core, "vp_no_room"), Failed: map[string]uint64{}}
	for name, o := range s.objects {
		l.Failed[name] = variable(o.coll, "vp_failed")
		if o.flows != nil {
			l.FlowsBeyond, l.FlowsUnmet = o.flows.beyond, variable(o.coll, "flow_unmet")
		}
	}
	return l
}

// EventsLost counts the events of cgroups that did not fit into the ring buffer.
func (s *Set) EventsLost() uint64 { return variable(s.core, "vp_events_lost") }

func variable(c *ebpf.Collection, name string) (v uint64) {
	if c != nil && c.Variables[name] != nil {
		_ = c.Variables[name].Get(&v) // a variable of another size reads as 0; rows_test checks sizes
	}
	return v
}

// reserved is how many targets may come between two looks of user space with
// their histograms' cells made already.
const reserved = 3 * chunk

// Reserve makes cells of histograms for targets to come, in the slots that the
// kernel side will give out next: those above the highest that is in use.
func (s *Set) Reserve(highest uint32, families []*metric.Family) error {
	return errors.Join(slices.Collect(maps.Values(s.ensure(families, highest, min(highest+reserved, Slots-1))))...)
}

// Missed is how many events a program did not see because it was interrupted by
// itself (recursion_misses), less those that a second program took in its place, as
// variable retaken_PROGRAM of its hook group counts them.
type Missed struct {
	Program string
	Events  uint64
}

// Missed lists the programs of all loaded hook groups.
func (s *Set) Missed() []Missed {
	var out []Missed
	s.eachProgram(func(c *ebpf.Collection, name string, st *ebpf.ProgramStats) {
		missed := st.RecursionMisses
		out = append(out, Missed{name, missed - min(missed, variable(c, "retaken_"+name))})
	})
	return out
}

func (s *Set) eachProgram(f func(c *ebpf.Collection, name string, st *ebpf.ProgramStats)) {
	colls := []*ebpf.Collection{s.core}
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if c := s.objects[name].coll; c != nil {
			colls = append(colls, c)
		}
	}
	for _, c := range colls {
		for _, name := range slices.Sorted(maps.Keys(c.Programs)) {
			if st, err := c.Programs[name].Stats(); err == nil {
				f(c, name, st)
			}
		}
	}
}

// A Cost is what one program took in a window, as the kernel's own statistics have it,
// less what they bill for themselves. Entering the program is not in it.
type Cost struct {
	Program string
	Runs    uint64
	Time    time.Duration // of all runs
	Billed  time.Duration // the same with what the statistics bill for themselves
	Window  time.Duration
}

// PerSecond is the rate of runs.
func (c Cost) PerSecond() float64 { return float64(c.Runs) / c.Window.Seconds() }

// Mean is the time of one run.
func (c Cost) Mean() time.Duration { return c.Time / time.Duration(max(1, c.Runs)) }

// A User is a program that is attached now.
type User struct {
	Families []*metric.Family // that need it
	Every    int              // an iterator, run once in so many windows; 0: it runs by events
	Trap     bool             // an uprobe's
}

// Users are the programs of what is wanted now, by their names.
func (s *Set) Users() map[string]User {
	out := map[string]User{}
	for _, o := range s.objects {
		families := map[string][]*metric.Family{}
		for _, f := range o.wanted {
			for _, p := range o.rungs[f] {
				families[p] = append(families[p], f)
			}
		}
		for p, of := range families {
			u := User{Families: of, Trap: o.uprobe(p)}
			if o.iters[p] != nil {
				u.Every = 1
				if strings.HasSuffix(p, "_pass") {
					u.Every = passEvery
				}
			}
			out[p] = u
		}
	}
	return out
}

// A Window is a short time in which the kernel measures programs (BPF_ENABLE_STATS),
// which adds two readings of the clock to each run.
type Window struct {
	set    *Set
	stats  io.Closer
	err    error
	began  time.Time
	before map[string]ebpf.ProgramStats
}

// Watch begins a window.
func (s *Set) Watch() *Window {
	w := &Window{set: s, before: map[string]ebpf.ProgramStats{}}
	if w.stats, w.err = ebpf.EnableStats(0); w.err != nil {
		return w
	}
	if s.clock == 0 {
		if s.clock, w.err = statisticsBill(); w.err != nil {
			w.err = errors.Join(w.err, w.stats.Close())
			return w
		}
	}
	s.eachProgram(func(_ *ebpf.Collection, name string, st *ebpf.ProgramStats) { w.before[name] = *st })
	w.began = time.Now()
	return w
}

// End ends the window and says what each program that ran has cost. The set must
// still be open. Without CAP_SYS_ADMIN the error is an os.ErrPermission.
func (w *Window) End() ([]Cost, error) {
	if errors.Is(w.err, unix.EPERM) {
		return nil, fmt.Errorf("measure programs: not permitted: run as root or add CAP_SYS_ADMIN: %w", w.err)
	}
	if w.err != nil {
		return nil, fmt.Errorf("measure programs: %w", w.err)
	}
	took := time.Since(w.began)
	var out []Cost
	w.set.eachProgram(func(_ *ebpf.Collection, name string, st *ebpf.ProgramStats) {
		if runs := st.RunCount - w.before[name].RunCount; runs > 0 {
			own := time.Duration(float64(runs) * w.set.clock)
			all := st.Runtime - w.before[name].Runtime
			out = append(out, Cost{name, runs, max(0, all-own), all, took})
		}
	})
	return out, w.Close()
}

// Close ends the window without a result.
func (w *Window) Close() error {
	if w.err != nil {
		return nil
	}
	return w.stats.Close()
}
