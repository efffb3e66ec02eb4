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
	read  int  // number of the window in which it was read last
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

// start takes a reading as what the series starts from, unless it has started.
// whole: it starts from nothing, everything that the source has counted so far
// belongs to the target and to this window or an earlier one.
func (s *series) start(r *metric.Reading, whole bool) {
	if !s.seen && !whole {
		s.raw = r.Value
		if s.family.Tier == metric.File { // the files have counted since the target began, whatever became of us
			s.total = r.Value
		}
		if r.Hist != nil {
			s.hist, s.base = *r.Hist, *r.Hist
		}
	}
	s.seen = true
}

// sample makes a sample of a reading of a series that has started.
func (s *series) sample(r *metric.Reading) metric.Sample {
	m := metric.Sample{Family: r.Family, Labels: r.Labels, Ratio: 1}
	switch r.Family.Kind {
	case metric.Gauge:
		m.Value, m.Max = r.Value, r.Value
	case metric.Counter:
		// A value that went back by a little (two words are not read at once) is
		// left for the next window: increases are never negative. A network device
		// is read at once: where it went back, it is a new one of the same name.
		if r.Value > s.raw {
			m.Value = r.Value - s.raw
			s.raw = r.Value
		} else if s.family.Owner == metric.OwnerNetwork {
			s.raw = r.Value
		}
		s.total += m.Value
		m.Total = s.total
	case metric.Histogram:
		window, sum := r.Hist.Sub(&s.hist), *r.Hist
		if len(s.base.Counts) > 0 {
			sum = sum.Sub(&s.base)
		}
		s.hist = *r.Hist
		m.Hist, m.Sum = &window, &sum
	}
	return m
}

// read appends what the sources say of everything that is wanted of a target.
func (a *Agent) read(x *target, dst []metric.Reading) ([]metric.Reading, error) {
	var err error
	if x.files != nil {
		dst, err = a.readFiles(x, dst)
	}
	if a.probes != nil {
		dst = a.probes.Read(x.slot, x.probed, dst)
	}
	if x.Kind == metric.Node {
		dst = a.own.read(a, dst)
	}
	return dst, err
}

// begin starts the series of a reading, which is the at-th of its target. What a
// network namespace has counted belongs to another target until it is first read
// of this one, and again after windows in which it was not.
func (x *target) begin(at int, r *metric.Reading) *series {
	s := x.find(at, seriesKey{r.Family, r.Labels})
	whole := r.Family.Gated() || x.born && !x.late[r.Family]
	if r.Family.Owner == metric.OwnerNetwork {
		whole, s.seen = false, s.seen && s.read+1 >= x.windows
	}
	s.start(r, whole)
	s.read = x.windows
	return s
}

// measure makes samples of everything that is wanted of a target. buf is scratch.
func (a *Agent) measure(x *target, buf []metric.Reading) ([]metric.Sample, []metric.Reading, error) {
	buf, err := a.read(x, buf[:0])
	samples := make([]metric.Sample, len(buf))
	for i := range buf {
		samples[i] = x.begin(i, &buf[i]).sample(&buf[i])
	}
	x.series, x.measured = x.series[:len(buf)], true
	x.windows++
	return samples, buf, err
}
