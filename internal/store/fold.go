package store

import (
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A window is what falls into one row, over all its series.
type window struct {
	value   float64 // of series that are done
	current float64 // of the series at hand: last value, or increase
	seconds float64 // since the sample before: rates without a step
	hist    metric.Hist
	sampled sampled
}

func (w *window) row(q Query, key rowKey, t int64) Row {
	row := Row{Time: time.UnixMilli(t).UTC(), Target: key.target, Labels: key.labels}
	per := 1.0
	if q.Rate {
		per = q.Step.Seconds()
		if q.Step == 0 {
			per = w.seconds
		}
	}
	row.Ratio = w.sampled.share()
	if q.Family.Unit == metric.One || q.Family.Kind == metric.Histogram {
		row.Error = w.sampled.deviation() / per
	}
	if q.Family.Kind != metric.Histogram {
		row.Value = w.value / per
		return row
	}
	row.Count, row.Sum = float64(w.hist.Count())/per, float64(w.hist.Sum)/q.Family.Scale()/per
	row.P50, row.P90, row.P99 = w.hist.Quantile(q.Family.Unit, .5), w.hist.Quantile(q.Family.Unit, .9), w.hist.Quantile(q.Family.Unit, .99)
	return row
}

// fold adds one series, with the ratios of its target by time, to the windows of its row.
func fold(q Query, s storage.Series, shares map[int64]float64, windows map[int64]*window) error {
	f := folder{q: q, windows: windows, shares: shares, from: q.From.UnixMilli(), step: q.Step.Milliseconds(), before: -1}
	it := s.Iterator(nil)
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		switch kind {
		case chunkenc.ValFloat:
			t, v := it.At()
			if !value.IsStaleNaN(v) {
				f.float(t, v)
			}
		case chunkenc.ValHistogram, chunkenc.ValFloatHistogram:
			t, h := it.AtFloatHistogram(nil)
			if !value.IsStaleNaN(h.Sum) {
				f.histogram(t, h)
			}
		}
	}
	for _, w := range windows {
		w.value += w.current
		w.current = 0
		w.sampled.done()
	}
	return it.Err()
}

// A folder walks one series.
type folder struct {
	q       Query
	windows map[int64]*window
	shares  map[int64]float64
	from    int64
	step    int64 // ms; 0: each sample is a row
	before  int64 // time of the sample before; -1: none
	total   float64
	hist    metric.Hist
	count   uint64
	between metric.Between
}

// at is the window of time t, nil when it is before the range.
func (f *folder) at(t int64) *window {
	if t <= f.from {
		return nil
	}
	if f.step > 0 {
		t = (t + f.step - 1) / f.step * f.step
	}
	w := f.windows[t]
	if w == nil {
		w = &window{}
		f.windows[t] = w
	}
	return w
}

// share is the share of events that the sample at time t stands for.
func (f *folder) share(t int64) float64 {
	if ratio, ok := f.shares[t]; ok {
		return ratio
	}
	return 1
}

// variance is that of an estimate of n events since the sample before.
func (f *folder) variance(t int64, n float64) float64 {
	if f.share(t) == 1 {
		f.between.Forget()
		return 0
	}
	return f.between.Add(n, float64(t-f.before)/1000)
}

func (f *folder) float(t int64, v float64) {
	increases := f.q.Rate && f.q.Family.Kind == metric.Counter
	if increases && f.before < 0 {
		f.before, f.total = t, v
		return
	}
	counted, n, variance := f.q.Family.Kind == metric.Counter && f.before >= 0 && v >= f.total, 0.0, 0.0
	if counted {
		n = (v - f.total) * f.q.Family.Scale()
		variance = f.variance(t, n)
	}
	if w := f.at(t); w != nil {
		switch scale := f.q.Family.Scale(); {
		case !increases:
			w.current = v
		case v < f.total:
			w.current += v
		default: // in whole raw units, as it was measured
			w.current += math.Round((v-f.total)*scale) / scale
		}
		w.seconds = float64(t-f.before) / 1000
		if counted {
			w.sampled.add(n, f.share(t), variance)
		}
	}
	f.before, f.total = t, v
}

func (f *folder) histogram(t int64, n *histogram.FloatHistogram) {
	h := fromNative(f.q.Family, n)
	count := h.Count()
	if f.before >= 0 {
		n := float64(count)
		if count >= f.count {
			n = float64(count - f.count)
		}
		variance := f.variance(t, n)
		if w := f.at(t); w != nil {
			d := h
			if count >= f.count {
				d = h.Sub(&f.hist)
			}
			w.hist.Add(&d)
			w.sampled.add(n, f.share(t), variance)
			w.seconds = float64(t-f.before) / 1000
		}
	}
	f.before, f.hist, f.count = t, h, count
}
