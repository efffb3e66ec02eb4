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
	measured    bool
	windows     int                     // measured so far
	late        map[*metric.Family]bool // wanted since some later time than the target's start
	drained     bool                    // the kernel has released it: the next tick is its last
	v1          hybrid
	recognition recognition
	app         appState
}

func newTarget(id *metric.Target, slot uint32) *target {
	return &target{Target: id, slot: slot, index: map[seriesKey]*series{}, late: map[*metric.Family]bool{}}
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
