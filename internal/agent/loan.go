package agent

import (
	"sync/atomic"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A loan is a batch that sinks work on. Where none keeps batches (Options.Reuse) its
// memory serves again when the last is done: else a window's samples are most of what
// the collector of garbage has to do in the agent.
type loan struct {
	*metric.Batch
	holders atomic.Int32
	lender  *lender
}

// release is called by each queue that is done with the batch, from any goroutine.
func (l *loan) release() {
	if l.holders.Add(-1) > 0 {
		return
	}
	select {
	case l.lender.returned <- l.Batch:
	default: // more came back than are ever needed at once, or none may
	}
}

// A lender has the batches whose memory may serve again. The zero value keeps none.
type lender struct {
	returned chan *metric.Batch // nil where a sink may keep them
}

// lentAtOnce is how many batches wait for their next use: one is with the sinks while the
// next is made.
const lentAtOnce = 2

func newLender(reuse bool) lender {
	if !reuse {
		return lender{}
	}
	return lender{returned: make(chan *metric.Batch, lentAtOnce)}
}

// batch is an empty batch, whose groups may have samples of an earlier one beyond its length.
func (r *lender) batch() *metric.Batch {
	select {
	case b := <-r.returned:
		*b = metric.Batch{Groups: b.Groups[:0]}
		return b
	default:
		return &metric.Batch{}
	}
}

// lend makes a batch one that holders queues work on.
func (r *lender) lend(b *metric.Batch, holders int) *loan {
	l := &loan{Batch: b, lender: r}
	l.holders.Store(int32(holders))
	return l
}

// grow appends an empty group, with the memory for samples that was in its place.
func grow(groups []metric.Group) []metric.Group {
	if len(groups) == cap(groups) {
		return append(groups, metric.Group{})
	}
	groups = groups[:len(groups)+1]
	g := &groups[len(groups)-1]
	*g = metric.Group{Samples: g.Samples[:0]}
	return groups
}
