package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

// slow takes a batch only when it is let.
type slow struct {
	let  chan struct{}
	seen []uint64
	err  error
}

func (s *slow) Publish(_ context.Context, b *metric.Batch) error {
	<-s.let
	s.seen = append(s.seen, b.Seq)
	return s.err
}

// alone is a batch that one queue works on.
func alone(seq uint64) *loan {
	var l lender
	return l.lend(&metric.Batch{Seq: seq}, 1)
}

// A sink that does not keep up loses the oldest batches, never the newest, and
// each is counted; the loop never waits.
func TestSlowSinkLosesTheOldest(t *testing.T) {
	s := &slow{let: make(chan struct{}, 100)}
	q := newQueue(s, slog.New(slog.DiscardHandler))
	const made = 100
	for i := range made {
		q.put(alone(uint64(i + 1)))
	}
	if got := q.dropped.Load(); got != made-queueLength {
		t.Errorf("%d dropped, want %d", got, made-queueLength)
	}
	for range made {
		s.let <- struct{}{}
	}
	go q.run()
	q.close()
	<-q.done
	if len(s.seen) != queueLength || s.seen[0] != made-queueLength+1 || s.seen[queueLength-1] != made {
		t.Errorf("the sink got %v, want the last %d", s.seen, queueLength)
	}
}

func TestRefusedBatchesAreCounted(t *testing.T) {
	s := &slow{let: make(chan struct{}, 2), err: errors.New("no")}
	s.let <- struct{}{}
	s.let <- struct{}{}
	q := newQueue(s, slog.New(slog.DiscardHandler))
	go q.run()
	q.put(alone(1))
	q.put(alone(2))
	q.close()
	if got := q.failed.Load(); got != 2 {
		t.Errorf("%d failed, want 2", got)
	}
}
