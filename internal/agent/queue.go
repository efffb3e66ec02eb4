package agent

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"viperprobe.dev/viperprobe/internal/probe"
)

// queueLength is how many batches a sink may be behind before the oldest is
// dropped.
const queueLength = 16

// A queue stands between the loop, which must not wait, and a sink.
type queue struct {
	sink    Sink
	log     *slog.Logger
	batches chan *loan
	done    chan struct{}
	dropped atomic.Uint64 // batches
	failed  atomic.Uint64 // batches
	spent   atomic.Int64  // ns of CPU time of the thread that publishes
}

func newQueue(s Sink, log *slog.Logger) *queue {
	return &queue{sink: s, log: log, batches: make(chan *loan, queueLength), done: make(chan struct{})}
}

// put never waits: where the sink is too slow the oldest batch is dropped. Only
// the loop calls it.
func (q *queue) put(b *loan) {
	for {
		select {
		case q.batches <- b:
			return
		default:
		}
		select {
		case old := <-q.batches:
			q.dropped.Add(1)
			q.log.Warn("batch dropped: its sink is too slow", "seq", old.Seq)
			old.release()
		default:
		}
	}
}

// publishLimit bounds one Publish: a sink that hangs must not hold the end up.
const publishLimit = 10 * time.Second

func (q *queue) run() {
	defer close(q.done)
	runtime.LockOSThread() // so that its CPU time is known
	defer runtime.UnlockOSThread()
	for b := range q.batches {
		ctx, cancel := context.WithTimeout(context.Background(), publishLimit)
		if err := q.sink.Publish(ctx, b.Batch); err != nil {
			q.failed.Add(1)
			q.log.Error("batch not taken", "seq", b.Seq, "err", err)
		}
		cancel()
		b.release()
		q.spent.Store(int64(probe.ThreadTime()))
	}
}

// finishTime is how long close waits for the sink.
const finishTime = 1500 * time.Millisecond

// close hands over what is queued and waits for the sink, but not for ever.
func (q *queue) close() {
	close(q.batches)
	select {
	case <-q.done:
	case <-time.After(finishTime):
		q.log.Error("sink did not finish in time", "batches", len(q.batches))
	}
}
