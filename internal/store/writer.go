package store

import (
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A writer is the transaction of one batch.
type writer struct {
	store       *Store
	app         storage.AppenderV2
	batch       *metric.Batch
	time, start int64
	ended       map[targetKey]int64 // targets that ended in this batch, and when

	samples, dropped, other uint64
}

func (w *writer) write(st *stream) error {
	c := &w.store.cache
	c.batch++
	if err := w.mark(st); err != nil {
		return err
	}
	// What ended comes first, so that a target which began again in the same
	// window follows itself.
	for _, last := range []bool{true, false} {
		for i := range w.batch.Groups {
			if g := &w.batch.Groups[i]; g.Last == last {
				if err := w.group(g); err != nil {
					return err
				}
			}
		}
	}
	for _, o := range c.others {
		if err := w.sums(o, w.time, w.start); err != nil {
			return err
		}
	}
	if c.batch%expireEvery == 0 {
		return w.end(c.expire(w.time-missed*max(w.batch.Interval.Milliseconds(), 1)), w.time)
	}
	return nil
}

// group writes what one target gave.
func (w *writer) group(g *metric.Group) error {
	c := &w.store.cache
	if len(g.Samples) == 0 && !g.Last {
		return nil
	}
	e, renamed := c.target(g.Target)
	key := targetKey{g.Target.Node, g.Target.ID}
	e.last = max(e.last, w.ended[key])
	t := max(w.time, e.last+2)
	start := min(max(w.start, g.Target.Started.UnixMilli(), e.last+1), t-1)
	if err := w.end(renamed, t); err != nil {
		return err
	}
	if err := w.info(e, t); err != nil {
		return err
	}
	for i := range g.Samples {
		m := &g.Samples[i]
		s := c.find(e, i, m)
		if s == nil {
			w.other++
			continue
		}
		if err := errors.Join(w.sample(s, m, t, start), w.ratio(e, m, t)); err != nil {
			return err
		}
	}
	if err := w.sums(&e.other, t, start); err != nil {
		return err
	}
	e.last = t
	if !g.Last {
		return nil
	}
	if w.ended == nil {
		w.ended = map[targetKey]int64{}
	}
	w.ended[key] = t + 1
	return w.end(c.remove(e), t+1)
}

// sums writes the overflow series that were touched.
func (w *writer) sums(o *others, t, start int64) error {
	for _, s := range o.touched {
		if err := w.sample(s, &s.over.sum, t, start); err != nil {
			return err
		}
	}
	o.touched = o.touched[:0]
	return nil
}

// sample writes one sample of a family, preceded by what the series was at start
// when it is its first.
func (w *writer) sample(s *series, m *metric.Sample, t, start int64) error {
	first := s.fresh && start > s.last
	s.fresh = false
	scale := m.Family.Scale()
	switch m.Family.Kind {
	case metric.Histogram:
		if m.Sum == nil {
			w.dropped++
			return nil
		}
		if first && m.Hist != nil && len(m.Hist.Counts) > 0 {
			before := m.Sum.Sub(m.Hist)
			if err := w.put(s, start, 0, native(m.Family, &before)); err != nil {
				return err
			}
		}
		w.samples++
		return w.put(s, t, 0, native(m.Family, m.Sum))
	case metric.Counter:
		if first && m.Value > 0 && m.Total >= m.Value {
			if err := w.put(s, start, float64(m.Total-m.Value)/scale, nil); err != nil {
				return err
			}
		}
		w.samples++
		return w.put(s, t, float64(m.Total)/scale, nil)
	}
	w.samples++
	if err := w.put(s, t, float64(m.Value)/scale, nil); err != nil {
		return err
	}
	return w.maximum(s, m, t)
}

// maximum writes NAME_max beside a gauge that has had a maximum of its own.
func (w *writer) maximum(s *series, m *metric.Sample, t int64) error {
	if s.max == nil {
		c := &w.store.cache
		if m.Max <= m.Value || c.live >= c.maxSeries || s.over != nil {
			return nil
		}
		b := labels.NewBuilder(s.labels)
		b.Set(model.MetricNameLabel, m.Family.PromName()+"_max")
		s.max = &series{family: s.family, labels: b.Labels()}
		c.live++
	}
	return w.put(s.max, t, float64(max(m.Max, m.Value))/m.Family.Scale(), nil)
}

func (w *writer) info(e *target, t int64) error {
	if t-e.info.last < infoEvery.Milliseconds() {
		return nil
	}
	return w.put(e.info, t, 1, nil)
}

// put appends to the transaction. A sample that the TSDB does not take because of
// its time is counted and costs nothing else.
func (w *writer) put(s *series, t int64, v float64, h *histogram.Histogram) error {
	ref, err := w.app.Append(s.ref, s.labels, 0, t, v, h, nil, storage.AOptions{})
	switch {
	case err == nil:
		s.ref, s.last = ref, t
	case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrOutOfBounds),
		errors.Is(err, storage.ErrDuplicateSampleForTimestamp), errors.Is(err, storage.ErrTooOldSample):
		w.dropped++
	default:
		return fmt.Errorf("sample of %s: %w", s.labels, err)
	}
	return nil
}

// end marks series as ended at t, so that PromQL does not carry their last value
// on for 5 minutes.
func (w *writer) end(ended []*series, t int64) error {
	stale := math.Float64frombits(value.StaleNaN)
	for _, s := range ended {
		if s.ref == 0 {
			continue
		}
		var h *histogram.Histogram
		if s.family != nil && s.family.Kind == metric.Histogram {
			h = &histogram.Histogram{Sum: stale}
		}
		if err := w.put(s, max(t, s.last+1), stale, h); err != nil {
			return err
		}
	}
	return nil
}
