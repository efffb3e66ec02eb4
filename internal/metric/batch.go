package metric

import "time"

// A Reading is one value as its source gives it: the total since the target
// began for counters and histograms, the value of now for gauges. Times are in
// nanoseconds.
type Reading struct {
	Family *Family
	Labels [2]string // values of Family.Labels
	Value  uint64
	Hist   *Hist // histograms only
}

// A Sample is one family of one target in one window.
type Sample struct {
	Family *Family
	Labels [2]string
	Value  uint64  // counter: increase in the window; gauge: last value
	Max    uint64  // gauge: largest value in the window
	Total  uint64  // counter: since the target began, or since the agent saw it
	Ratio  float64 // share of events that was looked at: 1 unless sampled
	Hist   *Hist   // histogram: increase in the window
	Sum    *Hist   // histogram: since the target began, or since the agent saw it
}

// A Group is what one target gave in one window.
type Group struct {
	Target  *Target
	Last    bool // the target is gone and drained: nothing will follow
	Samples []Sample
}

// A Batch is what one agent measured in one window. (Node, Epoch, Seq) names it
// for good. Batches are immutable once published.
type Batch struct {
	Node       string
	Epoch      int64         // start of the agent, unix ns
	Seq        uint64        // 1, 2, ... within the epoch
	Slot       time.Time     // the window's end, rounded to a UTC multiple of Interval
	Start, End time.Time     // as measured
	Interval   time.Duration // as planned
	Partial    bool          // something that was wanted could not be read: see Faults
	Faults     []string
	Generation int64 // of the plan in force
	Groups     []Group
}

// Samples counts the samples of a batch.
func (b *Batch) Samples() int {
	n := 0
	for i := range b.Groups {
		n += len(b.Groups[i].Samples)
	}
	return n
}
