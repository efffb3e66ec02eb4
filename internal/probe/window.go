package probe

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/internal/metric"
)

// steps is how many lengths windows can have at one time (window.bpf.c: STEPS).
const steps = 8

// windows is the schedule by which families are looked at for a share of the time.
type windows struct {
	coll    *ebpf.Collection // of window.bpf.c; nil before a window was wanted
	refused bool             // by the kernel
	period  time.Duration
	shares  map[*metric.Family]float64 // below 1, as the schedule has them
	step    map[*metric.Family]int
	spent   map[*metric.Family]Opening // since the family has its share, under schedules that are over
	running bool
}

// An Opening is how long, of how long, the window of a family was open, in ns.
type Opening struct{ Open, Elapsed uint64 }

// Windows has each of the given families looked at for its share of the time, above
// 0 and at most 1. As soon as one share is below 1, families that are not given are
// not looked at at all: a hook is closed only when nobody needs it. Windows begin at
// random in each period, which is below 4 s. Families whose share changes are not
// looked at while settle runs, which sees the openings under the old shares; Opened
// counts anew for them. Of more than 8 different shares the smallest are taken for
// the eighth: Window tells. Where the kernel has no timers for programs there are no
// windows, and the error says so the first time that some are wanted.
func (s *Set) Windows(shares map[*metric.Family]float64, period time.Duration, settle func(changed []*metric.Family)) error {
	w := &s.windows
	shares, distinct := quantize(shares)
	if len(distinct) == 0 && !w.running {
		return nil
	}
	if w.refused {
		return nil
	}
	if w.coll == nil {
		if err := s.loadWindows(); err != nil {
			w.refused = true
			return err
		}
	}
	if w.running && period == w.period && maps.Equal(shares, w.shares) {
		return nil
	}
	if len(distinct) == 0 {
		shares = nil
	}
	var changed []*metric.Family
	for _, f := range s.families {
		if f.Gated() && shareOf(w.shares, f) != shareOf(shares, f) {
			changed = append(changed, f)
		}
	}
	closed, _ := s.masks(changed)
	if err := s.stopWindows(closed); err != nil {
		return err
	}
	for f := range w.shares {
		w.spent[f] = s.Opened(f)
	}
	settle(changed)
	for _, f := range changed {
		delete(w.spent, f)
	}
	w.period, w.shares = period, shares
	return s.startWindows(distinct)
}

func (s *Set) loadWindows() error {
	spec, err := s.spec("window")
	if err != nil {
		return err
	}
	if err := s.openTypes(); err != nil {
		return err
	}
	defer func() { s.types = nil }()
	coll, err := s.instantiate(spec)
	if err != nil {
		return fmt.Errorf("no sampling by windows, by events alone: %w", explain(err))
	}
	s.windows.coll, s.windows.spent = coll, map[*metric.Family]Opening{}
	return nil
}

// quantize rounds shares up so that at most 8 are below 1, and lists those.
func quantize(shares map[*metric.Family]float64) (map[*metric.Family]float64, []float64) {
	distinct := slices.Compact(slices.SortedFunc(maps.Values(shares), func(a, b float64) int { return cmp.Compare(b, a) }))
	distinct = slices.DeleteFunc(distinct, func(share float64) bool { return share >= 1 })
	distinct = distinct[:min(len(distinct), steps)]
	out := map[*metric.Family]float64{}
	for f, share := range shares {
		out[f] = share
		if len(distinct) > 0 {
			out[f] = max(share, distinct[len(distinct)-1])
		}
	}
	return out, distinct
}

func shareOf(shares map[*metric.Family]float64, f *metric.Family) float64 {
	if share, ok := shares[f]; ok {
		return min(share, 1)
	}
	return 1
}

// stopWindows ends the schedule and leaves the given families closed.
func (s *Set) stopWindows(closed uint64) error {
	if err := s.setWindow("vp_idle", ^closed); err != nil {
		return err
	}
	if !s.windows.running {
		return s.setOpen(^closed)
	}
	s.windows.running = false
	return s.runWindow("window_stop")
}

func (s *Set) startWindows(distinct []float64) error {
	w := &s.windows
	w.step = map[*metric.Family]int{}
	if len(distinct) == 0 {
		return s.setOpen(^uint64(0))
	}
	var table [steps]struct{ Mask, Length uint64 }
	always := uint64(0)
	for f, share := range w.shares {
		if s.bits[f].whole {
			continue
		}
		i := slices.Index(distinct, share)
		if i < 0 {
			always |= 1 << s.bits[f].n
			continue
		}
		w.step[f] = i
		table[i].Mask |= 1 << s.bits[f].n
		table[i].Length = uint64(math.Round(share * float64(w.period)))
	}
	for name, v := range map[string]any{"vp_steps": table, "vp_always": always, "vp_period": uint64(w.period), "vp_elapsed": uint64(0), "vp_opened": [steps]uint64{}} {
		if err := s.setWindow(name, v); err != nil {
			return err
		}
	}
	w.running = true
	return s.runWindow("window_start")
}

func (s *Set) setWindow(name string, v any) error {
	if err := s.windows.coll.Variables[name].Set(v); err != nil {
		return fmt.Errorf("set %s of windows: %w", name, err)
	}
	return nil
}

func (s *Set) setOpen(mask uint64) error {
	if err := s.core.Variables["vp_open"].Set(mask); err != nil {
		return fmt.Errorf("open windows: %w", err)
	}
	return nil
}

func (s *Set) runWindow(program string) error {
	if _, err := s.windows.coll.Programs[program].Run(&ebpf.RunOptions{}); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

// Window is the share of the time for which a family is looked at, as it is planned.
func (s *Set) Window(f *metric.Family) float64 {
	return shareOf(s.windows.shares, f)
}

// Period is that of the windows in force.
func (s *Set) Period() time.Duration { return s.windows.period }

// Opened is how long a family was looked at since it has its present share, as the
// kernel has measured it.
func (s *Set) Opened(f *metric.Family) Opening {
	w := &s.windows
	o := w.spent[f]
	step, ok := w.step[f]
	if !ok {
		return o
	}
	now := w.clock(step, s.core.Variables["vp_open"], 1<<s.bits[f].n)
	return Opening{o.Open + now.Open, o.Elapsed + now.Elapsed}
}

// clock reads one step of the schedule at hand, up to now.
func (w *windows) clock(step int, open *ebpf.Variable, bit uint64) Opening {
	var turn, after uint32
	var looked, elapsed, mask uint64
	var opened [steps]uint64
	get := func(name string, into any) { _ = w.coll.Variables[name].Get(into) } // it is memory
	for {
		get("vp_turn", &turn)
		get("vp_looked", &looked)
		get("vp_elapsed", &elapsed)
		get("vp_opened", &opened)
		_ = open.Get(&mask)
		get("vp_turn", &after)
		if turn == after && turn%2 == 0 {
			break
		}
	}
	o := Opening{opened[step], elapsed}
	if now := monotonic(); w.running && now > looked {
		o.Elapsed += now - looked
		if mask&bit != 0 {
			o.Open += now - looked
		}
	}
	return o
}

// seed gives the kernel side numbers to begin its random ones from (vp.h: vp_randoms).
func (s *Set) seed() error {
	var states [256 * 8]uint64
	for i := range states {
		states[i] = rand.Uint64()
	}
	if err := s.core.Variables["vp_randoms"].Set(states); err != nil {
		return fmt.Errorf("seed random numbers: %w", err)
	}
	return nil
}
