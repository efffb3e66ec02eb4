package agent

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

// The memory of a batch serves again once its last sink is done, and not before.
func TestBatchIsUsedAgain(t *testing.T) {
	r := newLender(true)
	b := r.batch()
	for range 3 {
		b.Groups = grow(b.Groups)
		b.Groups[len(b.Groups)-1].Samples = append(b.Groups[len(b.Groups)-1].Samples, metric.Sample{Value: 7})
	}
	l := r.lend(b, 2)
	l.release()
	if got := r.batch(); got == b {
		t.Fatal("a batch was used again while a sink worked on it")
	}
	l.release()
	got := r.batch()
	if got != b || len(got.Groups) != 0 || got.Seq != 0 {
		t.Fatalf("a batch that all are done with: %p %+v, want %p, empty", got, got, b)
	}
	got.Groups = grow(got.Groups)
	if g := got.Groups[0]; len(g.Samples) != 0 || cap(g.Samples) == 0 || g.Target != nil {
		t.Errorf("its first group is %+v with room for %d samples, want an empty one with the old room", g, cap(g.Samples))
	}
}

func TestKeptBatchIsNot(t *testing.T) {
	r := newLender(false)
	b := r.batch()
	r.lend(b, 1).release()
	if got := r.batch(); got == b {
		t.Error("a batch was used again that a sink may have kept")
	}
}

// Of the batches that come back only so many are kept as are needed.
func TestLenderIsBounded(t *testing.T) {
	r := newLender(true)
	for range 10 * lentAtOnce {
		r.lend(&metric.Batch{}, 1).release()
	}
	if n := len(r.returned); n != lentAtOnce {
		t.Errorf("%d batches are kept, want %d", n, lentAtOnce)
	}
}

// A batch that a slow sink never got serves again, too.
func TestDroppedBatchIsUsedAgain(t *testing.T) {
	s := &slow{let: make(chan struct{})}
	q := newQueue(s, slog.New(slog.DiscardHandler))
	r := newLender(true)
	first := r.batch()
	q.put(r.lend(first, 1))
	for range queueLength {
		q.put(r.lend(&metric.Batch{}, 1))
	}
	if got := r.batch(); got != first {
		t.Errorf("got %p, want the dropped %p", got, first)
	}
}

// A counting sink reads each batch in whole, so that the race detector sees who else
// touches it.
type counting struct{ samples, batches atomic.Int64 }

func (c *counting) Publish(_ context.Context, b *metric.Batch) error {
	for _, g := range b.Groups {
		for _, m := range g.Samples {
			if m.Family != nil && g.Target != nil {
				c.samples.Add(1)
			}
		}
	}
	c.batches.Add(1)
	return nil
}

func TestBatchesAreWholeWhileSinksWork(t *testing.T) {
	sinks := []*counting{{}, {}}
	measureWith(t, "/", func(o *Options) {
		o.Reuse, o.Sinks = true, []Sink{sinks[0], sinks[1]}
	}, "file", "snapshot", "requests")
	for _, s := range sinks {
		eventually(t, "20 batches", func() bool { return s.batches.Load() >= 20 })
		if s.samples.Load() == 0 {
			t.Error("batches without a sample")
		}
	}
}
