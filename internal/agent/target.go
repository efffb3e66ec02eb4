package agent

import (
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// A target is one that is measured, with what is known of it so far.
type target struct {
	*metric.Target
	group *group // the cgroup that it is; nil for the node and the remainder
	slot  uint32
	born  bool // seen since its first instruction

	wants       []*metric.Family                 // in catalogue order
	files       *cgroup.Files                    // nil when no family of the file tier is wanted, or there are none
	probed      []*metric.Family                 // of wants: those that package probe reads
	ratios      ratios                           // of probed
	opened      map[*metric.Family]probe.Opening // of windows, when their ratio was last asked for
	series      []*series
	index       map[seriesKey]*series
	windows     int                       // measured so far
	holds       bool                      // other targets are, or were, inside
	activity    uint64                    // as of the last window
	still       int                       // windows since it moved
	merges      map[*metric.Family]*merge // of families whose series the plan wants, or wanted, summed; most often nil
	late        map[*metric.Family]bool   // wanted since some later time than the target's start
	flows       bool                      // flows are wanted, or were in the last window
	drained     bool                      // the kernel has released it: the next tick is its last
	beginning   beginning
	v1          hybrid
	recognition recognition
	app         appState
}

func newTarget(id *metric.Target, slot uint32) *target {
	return &target{Target: id, slot: slot, index: map[seriesKey]*series{}, late: map[*metric.Family]bool{}}
}

// settling is how many windows after the last activity files are still read: what a
// task began may end without it.
const settling = 3

// sleeps reports whether the files of a target say what they said: nothing of it has
// run or waited for IO for some windows. Of targets inside it the kernel side tells
// elsewhere.
func (x *target) sleeps(p *probe.Set) bool {
	if p == nil || x.group == nil || x.holds {
		return false
	}
	n, ok := p.Activity(x.slot)
	if !ok || n != x.activity {
		x.activity, x.still = n, 0
		return false
	}
	x.still++
	return x.still > settling
}

// nameOf is what flows call the target of a slot.
func (a *Agent) nameOf(slot uint32) string {
	if x := a.tree.bySlot[slot]; x != nil {
		return x.FullName()
	}
	return ""
}

// end marks the target as gone.
func (x *target) end(now time.Time) {
	gone := *x.Target
	gone.Ended = now
	x.Target = &gone
}

func (x *target) close() error {
	if x.files == nil {
		return nil
	}
	err := x.files.Close()
	x.files = nil
	return err
}
