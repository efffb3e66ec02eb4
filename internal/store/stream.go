package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A stream is how far the batches of one node have come.
type stream struct {
	epoch int64
	seq   uint64
	end   time.Time // of the last window
	time  int64     // of the last samples
	marks *series   // viperprobe_batch_sequence of this epoch
}

// has reports whether b, or one that came after it, was appended.
func (st *stream) has(b *metric.Batch) bool {
	return b.Epoch < st.epoch || b.Epoch == st.epoch && b.Seq <= st.seq
}

// next is the time of b's samples: its slot, unless the batch before has it.
func (st *stream) next(b *metric.Batch) int64 {
	t := b.Slot.UnixMilli()
	if t <= st.time {
		t = max(b.End.UnixMilli(), st.time+2)
	}
	return t
}

func (st *stream) took(b *metric.Batch, t int64) {
	st.epoch, st.seq, st.end, st.time = b.Epoch, b.Seq, b.End, t
}

// gap is why something is missing between the batch before and b; "" if nothing is.
func (st *stream) gap(b *metric.Batch) string {
	switch {
	case st.epoch == 0:
		return ""
	case b.Epoch != st.epoch:
		return "restart"
	case b.Seq != st.seq+1:
		return "lost"
	}
	return ""
}

// mark writes the batch's number, and the gap before it if there is one.
func (w *writer) mark(st *stream) error {
	b := w.batch
	if st.marks == nil || b.Epoch != st.epoch {
		st.marks = &series{labels: build(SequenceName, Pair{"node", b.Node}, Pair{"epoch", strconv.FormatInt(b.Epoch, 10)})}
	}
	if err := w.put(st.marks, w.time, float64(b.Seq), nil); err != nil {
		return err
	}
	reason, length := st.gap(b), b.Start.Sub(st.end)
	if reason == "" || length <= 0 {
		return nil
	}
	gap := &series{labels: build(GapName, Pair{"node", b.Node}, Pair{"reason", reason})}
	return w.put(gap, b.Start.UnixMilli(), length.Seconds(), nil)
}

// remembered is how far back Open looks for the last batch of each node.
const remembered = 24 * time.Hour

// loadStreams finds out, after a start, which batches are there.
func (s *Store) loadStreams() error {
	to := s.db.Head().MaxTime()
	for _, b := range s.db.Blocks() {
		to = max(to, b.MaxTime())
	}
	q, err := s.db.Querier(to-remembered.Milliseconds(), to)
	if err != nil {
		return err
	}
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, SequenceName))
	var it chunkenc.Iterator
	for set.Next() {
		ls := set.At().Labels()
		epoch, err := strconv.ParseInt(ls.Get("epoch"), 10, 64)
		if err != nil {
			return fmt.Errorf("series %s: %w", ls, err)
		}
		st := s.nodes[ls.Get("node")]
		if st == nil {
			st = &stream{}
			s.nodes[ls.Get("node")] = st
		}
		if epoch <= st.epoch {
			continue
		}
		it = set.At().Iterator(it)
		for it.Next() != chunkenc.ValNone {
			t, v := it.At()
			*st = stream{epoch: epoch, seq: uint64(v), time: t, end: time.UnixMilli(t)}
		}
		if err := it.Err(); err != nil {
			return err
		}
	}
	if err := set.Err(); err != nil {
		return err
	}
	return q.Close()
}

// A Gap is an interval in which a node was not measured, or whose batches did
// not come.
type Gap struct {
	Node     string
	Reason   string // restart (of the agent), lost (batches)
	From, To time.Time
}

// Gaps lists the gaps that end between from and to, by node and time.
func (r *Reader) Gaps(ctx context.Context, from, to time.Time) ([]Gap, error) {
	q, err := r.data.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read gaps: %w", err)
	}
	var gaps []Gap
	set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, GapName))
	for set.Next() {
		ls, it := set.At().Labels(), set.At().Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			t, v := it.At()
			end := time.UnixMilli(t)
			gaps = append(gaps, Gap{
				Node: ls.Get("node"), Reason: ls.Get("reason"),
				From: end.Add(-time.Duration(v * float64(time.Second))), To: end,
			})
		}
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("read gaps: %w", err)
	}
	return gaps, q.Close()
}
