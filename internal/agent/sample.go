package agent

import (
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
)

type seriesKey struct {
	family *metric.Family
	labels [2]string
}

// A series is one value of one target over time: what its source said last, and what of
// it has been reported. Most never need more: they are read each window with cold caches.
type series struct {
	seriesKey
	read  int // number of the window in which it was read last
	raw   uint64
	total uint64
	seen  bool   // raw, or hist, is a base to subtract
	more  *extra // of histograms, and of what was ever sampled
}

// An extra is what only some series need.
type extra struct {
	hist metric.Hist // as the source said last
	base metric.Hist // what of hist is not the target's
	kept metric.Hist // counted in cells that have been given back
	next estimate
	// Of a histogram that was ever sampled: what was reported in sum.
	scaled bool
	sum    metric.Hist
}

func (s *series) extra() *extra {
	if s.more == nil {
		s.more = &extra{}
	}
	return s.more
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
	if f.Gated() || x.windows == 0 {
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
			x := s.extra()
			x.hist, x.base = *r.Hist, *r.Hist
		}
	}
	s.seen = true
}

// sample makes a sample of a reading of a series that has started. ratio is the share
// of events that was looked at since the last reading.
func (s *series) sample(r *metric.Reading, ratio float64) metric.Sample {
	m := metric.Sample{Family: r.Family, Labels: r.Labels, Ratio: 1}
	if r.Family.Kind == metric.Gauge {
		m.Value, m.Max = r.Value, r.Value
		return m
	}
	if r.Family.Kind == metric.Counter && ratio == 1 && s.more == nil {
		m.Value = s.increase(r)
		s.total += m.Value
		m.Total = s.total
		return m
	}
	s.take(r, ratio)
	x := s.more
	e := x.next.report()
	m.Ratio = e.share()
	if r.Family.Kind == metric.Counter {
		m.Value = e.value
		s.total += m.Value
		m.Total = s.total
		return m
	}
	sum := x.whole()
	m.Hist, m.Sum = &e.hist, &sum
	return m
}

// whole is everything that a histogram has taken.
func (x *extra) whole() metric.Hist {
	if x.scaled {
		return x.sum
	}
	sum := x.hist
	if len(x.base.Counts) > 0 {
		sum = sum.Sub(&x.base)
	}
	if len(x.kept.Counts) > 0 {
		sum.Add(&x.kept)
	}
	return sum
}

// increase is what a counter has grown by since the last look. A value that went back by
// a little (two words are not read at once) is left for the next window: increases are
// never negative. A network device is read at once: where it went back, it is a new one
// of the same name.
func (s *series) increase(r *metric.Reading) uint64 {
	if r.Value > s.raw {
		n := r.Value - s.raw
		s.raw = r.Value
		return n
	}
	if r.Family.Owner == metric.OwnerNetwork {
		s.raw = r.Value
	}
	return 0
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

// measure makes samples of everything that is wanted of a target, in the memory of dst.
// buf is scratch.
func (a *Agent) measure(x *target, dst []metric.Sample, buf []metric.Reading) ([]metric.Sample, []metric.Reading, error) {
	buf, err := a.read(x, buf[:0])
	samples, ratios := slices.Grow(dst[:0], len(buf)+1), a.tree.inForce(x) // 1: restarts
	for i := range buf {
		samples = append(samples, x.begin(i, &buf[i]).sample(&buf[i], ratios.of(buf[i].Family)))
	}
	x.series = x.series[:len(buf)]
	x.forgetFlows()
	samples = x.merged(samples)
	x.windows++
	return a.tree.restarts.sample(x, samples), buf, err
}

// forgetFlows drops the series of flows that were not read in this window: the kernel side
// has forgotten them, and starts them from 0 when they come back.
func (x *target) forgetFlows() {
	if !x.flows {
		return
	}
	for k, s := range x.index {
		if isFlow(k.family) && s.read < x.windows {
			delete(x.index, k)
		}
	}
	x.flows = slices.ContainsFunc(x.probed, isFlow)
}

// isFlow reports whether a family tells who talks to whom.
func isFlow(f *metric.Family) bool { return f.Tier == metric.Event && f.Keyed() }
