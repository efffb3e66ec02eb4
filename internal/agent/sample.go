package agent

import (
	"viperprobe.dev/viperprobe/internal/metric"
)

type seriesKey struct {
	family *metric.Family
	labels [2]string
}

// A series is one value of one target over time: what its source said last, and
// what of it has been reported.
type series struct {
	seriesKey
	seen  bool // raw, or hist, is a base to subtract
	raw   uint64
	total uint64
	hist  metric.Hist // as the source said last
	base  metric.Hist // what of hist is not the target's
}

// find is the series of a reading, which is most often where it was last time.
func (x *target) find(at int, k seriesKey) *series {
	if at < len(x.series) && x.series[at].seriesKey == k {
		return x.series[at]
	}
	s := x.index[k]
	if s == nil {
		s = &series{seriesKey: k}
		x.index[k] = s
	}
	if at < len(x.series) {
		x.series[at] = s
	} else {
		x.series = append(x.series, s)
	}
	return s
}

// renew makes a family that was not wanted a window ago start from what it will
// say next. Counts of events stand still while the family is off, so they go on.
func (x *target) renew(f *metric.Family) {
	if f.Gated() || !x.measured {
		return
	}
	x.late[f] = true
	for k, s := range x.index {
		if k.family == f {
			s.seen = false
		}
	}
}

// sample makes a sample of a reading. whole: everything that the source has
// counted so far belongs to the target and to this window or an earlier one.
func (s *series) sample(r *metric.Reading, whole bool) metric.Sample {
	m := metric.Sample{Family: r.Family, Labels: r.Labels, Ratio: 1}
	switch r.Family.Kind {
	case metric.Gauge:
		m.Value, m.Max = r.Value, r.Value
	case metric.Counter:
		// A value that went back by a little (two words are not read at once) is
		// left for the next window: increases are never negative.
		if !s.seen && !whole {
			s.raw = r.Value
		}
		if r.Value > s.raw {
			m.Value = r.Value - s.raw
			s.raw = r.Value
		}
		s.total += m.Value
		m.Total = s.total
	case metric.Histogram:
		if !s.seen && !whole {
			s.hist, s.base = *r.Hist, *r.Hist
		}
		window, sum := r.Hist.Sub(&s.hist), *r.Hist
		if len(s.base.Counts) > 0 {
			sum = sum.Sub(&s.base)
		}
		s.hist = *r.Hist
		m.Hist, m.Sum = &window, &sum
	}
	s.seen = true
	return m
}

// measure reads everything that is wanted of a target.
func (a *Agent) measure(x *target, buf []metric.Reading) ([]metric.Sample, []metric.Reading, error) {
	var err error
	buf = buf[:0]
	if x.files != nil {
		buf, err = x.files.Read(buf)
	}
	if a.probes != nil {
		buf = a.probes.Read(x.slot, x.probed, buf)
	}
	if x.Kind == metric.Node {
		buf = a.own.read(a, buf)
	}
	samples := make([]metric.Sample, len(buf))
	for i := range buf {
		r := &buf[i]
		s := x.find(i, seriesKey{r.Family, r.Labels})
		samples[i] = s.sample(r, r.Family.Gated() || x.born && !x.late[r.Family])
	}
	x.series, x.measured = x.series[:len(buf)], true
	return samples, buf, err
}
