package store

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// RecentOptions bounds what Recent keeps.
type RecentOptions struct {
	Keep     time.Duration // targets that ended stay this long; 0: 5 minutes
	MaxEnded int           // ended targets; the oldest go first; 0: 4,000
}

// Recent holds the last batch of each node, and the targets that ended lately.
// Readers get an immutable View and never wait for the writer, nor it for them.
type Recent struct {
	keep     time.Duration
	maxEnded int

	mu      sync.Mutex // one Append at a time
	view    atomic.Pointer[View]
	dropped atomic.Uint64
}

// A View is the recent state at one moment. It is never modified.
type View struct {
	Batches []*metric.Batch // the last of each node, by node
	Ended   []Ended         // in the order in which they ended
}

// Ended is what was last known of a target that is gone: the totals of its
// counters and histograms as they were at the end, without those that are 0.
type Ended struct {
	At    time.Time // when its last batch ended
	Epoch int64     // of the agent that said so
	Group metric.Group
}

// NewRecent makes an empty Recent.
func NewRecent(o RecentOptions) *Recent {
	if o.Keep == 0 {
		o.Keep = 5 * time.Minute
	}
	if o.MaxEnded == 0 {
		o.MaxEnded = 4_000
	}
	r := &Recent{keep: o.Keep, maxEnded: o.MaxEnded}
	r.view.Store(&View{})
	return r
}

// Publish is Append.
func (r *Recent) Publish(_ context.Context, b *metric.Batch) error {
	r.Append(b)
	return nil
}

// Append makes b the last batch of its node. An older one than it has is ignored.
func (r *Recent) Append(b *metric.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.view.Load()
	v := &View{Ended: old.Ended}
	for _, last := range old.Batches {
		switch {
		case last.Node != b.Node:
			if b.End.Sub(last.End) < r.keep {
				v.Batches = append(v.Batches, last)
			}
		case b.Epoch < last.Epoch || b.Epoch == last.Epoch && b.Seq <= last.Seq:
			return
		}
	}
	v.Batches = append(v.Batches, b)
	slices.SortFunc(v.Batches, func(x, y *metric.Batch) int { return cmp.Compare(x.Node, y.Node) })
	v.Ended = r.ended(old.Ended, b)
	r.view.Store(v)
}

// ended is old without what is over time, and with what ended in b.
func (r *Recent) ended(old []Ended, b *metric.Batch) []Ended {
	stale := 0
	for stale < len(old) && b.End.Sub(old[stale].At) >= r.keep {
		stale++
	}
	kept := old[stale:]
	for i := range b.Groups {
		if g := &b.Groups[i]; g.Last {
			if len(kept) >= r.maxEnded {
				kept = kept[1:]
				r.dropped.Add(1)
			}
			kept = append(kept, Ended{At: b.End, Epoch: b.Epoch, Group: own(g)})
		}
	}
	return kept
}

// own copies what is worth keeping of a target that is gone: totals that are not
// 0. The copy does not keep its whole batch in memory.
func own(g *metric.Group) metric.Group {
	c := metric.Group{Target: g.Target, Last: true}
	for i := range g.Samples {
		s := g.Samples[i]
		switch {
		case s.Family.Kind == metric.Counter && s.Total > 0:
		case s.Family.Kind == metric.Histogram && s.Sum != nil && len(s.Sum.Counts) > 0:
			s.Hist = nil // increases of a window that is long over
			s.Sum = &metric.Hist{Sum: s.Sum.Sum, First: s.Sum.First, Counts: slices.Clone(s.Sum.Counts)}
		default:
			continue
		}
		c.Samples = append(c.Samples, s)
	}
	return c
}

// View is the state of now.
func (r *Recent) View() *View { return r.view.Load() }

// Dropped counts the ended targets that had to go before their time.
func (r *Recent) Dropped() uint64 { return r.dropped.Load() }

// Last is the end of the newest batch; zero before the first.
func (v *View) Last() time.Time {
	var t time.Time
	for _, b := range v.Batches {
		if b.End.After(t) {
			t = b.End
		}
	}
	return t
}
