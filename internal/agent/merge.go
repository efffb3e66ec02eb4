package agent

import (
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// A merge sums the series of one family of a target into those that the plan wants. It goes
// on with a rule of nil when the plan wants them all again: the total of labels is what was
// reported under them, so that an event that counted elsewhere meanwhile is not in two.
type merge struct {
	rule   policy.Labels
	series map[[2]string]*merged // by the labels that are reported
}

// A merged series is one that is reported.
type merged struct {
	window int  // in which it was last, from 1
	at     int  // where in that window's samples
	fresh  bool // this window is its first
	total  uint64
	sum    metric.Hist
}

// relabel takes what the plan says of the series of a family. One of which it never said
// anything has no merge, and costs nothing.
func (x *target) relabel(f *metric.Family, l policy.Labels) {
	switch m := x.merges[f]; {
	case m != nil:
		m.rule = l
	case l != nil:
		if x.merges == nil {
			x.merges = map[*metric.Family]*merge{}
		}
		x.merges[f] = &merge{rule: l, series: x.soFar(f)}
	}
}

// soFar are the series of a family as they were reported until now.
func (x *target) soFar(f *metric.Family) map[[2]string]*merged {
	out := map[[2]string]*merged{}
	for k, s := range x.index {
		if k.family == f && x.windows > 0 {
			m := &merged{total: s.total}
			if s.more != nil {
				sum := s.more.whole()
				m.sum = sum.Sub(&s.more.next.hist)
			}
			out[k.labels] = m
		}
	}
	return out
}

// merged sums a window's samples, in their place.
func (x *target) merged(samples []metric.Sample) []metric.Sample {
	if x.merges == nil {
		return samples
	}
	window, out := x.windows+1, samples[:0]
	for _, m := range samples {
		merge := x.merges[m.Family]
		if merge == nil {
			out = append(out, m)
			continue
		}
		labels := merge.rule.Series(m.Family, m.Labels)
		s := merge.series[labels]
		if s == nil {
			s = &merged{fresh: true}
			merge.series[labels] = s
		}
		s.begin(&m)
		if m.Labels = labels; s.window == window {
			join(&out[s.at], &m)
			continue
		}
		s.window, s.at = window, len(out)
		out = append(out, m)
	}
	for f, merge := range x.merges {
		merge.end(window, out, isFlow(f))
	}
	return out
}

// begin adds what a series had counted before the window to one that begins in it.
func (s *merged) begin(m *metric.Sample) {
	switch {
	case !s.fresh:
	case m.Family.Kind == metric.Counter:
		s.total += m.Total - m.Value
	case m.Family.Kind == metric.Histogram:
		before := m.Sum.Sub(m.Hist)
		s.sum.Add(&before)
	}
}

// join adds a sample to that of another series of its family. The share of events that was
// looked at is that of them all, as if they had been counted in one.
func join(to, m *metric.Sample) {
	if to.Ratio != m.Ratio {
		n, more := weight(to), weight(m)
		if n+more > 0 {
			to.Ratio = (n*to.Ratio + more*m.Ratio) / (n + more)
		}
	}
	to.Value += m.Value
	to.Max += m.Max
	if m.Hist != nil {
		to.Hist.Add(m.Hist)
	}
}

// weight is how many events a sample stands for.
func weight(m *metric.Sample) float64 {
	if m.Hist != nil {
		return float64(m.Hist.Count())
	}
	return float64(m.Value)
}

// end gives the series of a window their totals. Flows that were not in it are forgotten,
// as the kernel side forgets them.
func (m *merge) end(window int, samples []metric.Sample, flows bool) {
	for labels, s := range m.series {
		if s.window != window {
			if flows {
				delete(m.series, labels)
			}
			continue
		}
		s.fresh = false
		switch to := &samples[s.at]; to.Family.Kind {
		case metric.Counter:
			s.total += to.Value
			to.Total = s.total
		case metric.Histogram:
			s.sum.Add(to.Hist)
			sum := s.sum
			to.Sum = &sum
		}
	}
}

// current are the labels of the series that were read of a target in its last window.
func (x *target) current() map[*metric.Family][][2]string {
	out := map[*metric.Family][][2]string{}
	for k, s := range x.index {
		if s.read+1 >= x.windows {
			out[k.family] = append(out[k.family], k.labels)
		}
	}
	return out
}

// possible are the labels that a family can have, as far as they are known beforehand.
func possible(f *metric.Family) [][2]string {
	out := [][2]string{{}}
	for i := range f.Labels {
		var next [][2]string
		for _, labels := range out {
			for _, v := range f.Labels[i].Values {
				labels[i] = v
				next = append(next, labels)
			}
		}
		if len(next) > 0 {
			out = next
		}
	}
	return out
}

// reported is how many series a family has in which those of some labels are reported.
func reported(f *metric.Family, l policy.Labels, labels [][2]string) int {
	different := map[[2]string]bool{}
	for _, values := range labels {
		different[l.Series(f, values)] = true
	}
	return len(different)
}
