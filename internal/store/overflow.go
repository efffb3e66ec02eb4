package store

import (
	"viperprobe.dev/viperprobe/internal/metric"
)

// An overflow is what was summed into a series that stands for many.
type overflow struct {
	sum   metric.Sample // Value and Hist: of the batch at hand; Total and Sum: ever
	batch uint64        // in which it was last
}

// others are overflow series, and those of them that the batch at hand touched.
type others struct {
	series  map[seriesKey]*series
	touched []*series
}

// add sums m into the series in which its open label values are replaced. It adds
// increases, because totals of what comes and goes would fall.
func (o *others) add(m *metric.Sample, batch uint64, base []Pair) {
	key := seriesKey{m.Family, m.Labels}
	for i := range m.Family.Labels {
		if m.Family.Labels[i].Values == nil {
			key.values[i] = Other
		}
	}
	s := o.series[key]
	if s == nil {
		if o.series == nil {
			o.series = map[seriesKey]*series{}
		}
		s = &series{
			family: m.Family, values: key.values, fresh: true, over: &overflow{sum: metric.Sample{Family: m.Family, Ratio: 1}},
			labels: seriesLabels(m.Family.PromName(), base, m.Family, key.values),
		}
		o.series[key] = s
	}
	sum := &s.over.sum
	if s.over.batch != batch {
		s.over.batch = batch
		sum.Value, sum.Max, sum.Hist = 0, 0, nil
		o.touched = append(o.touched, s)
	}
	sum.Value, sum.Max, sum.Total = sum.Value+m.Value, sum.Max+m.Max, sum.Total+m.Value
	if m.Hist == nil {
		return
	}
	if sum.Hist == nil {
		sum.Hist = &metric.Hist{}
	}
	if sum.Sum == nil {
		sum.Sum = &metric.Hist{}
	}
	sum.Hist.Add(m.Hist)
	sum.Sum.Add(m.Hist)
}

// expire forgets the series that were last written before t, and returns them.
func (o *others) expire(t int64) []*series {
	var ended []*series
	for key, s := range o.series {
		if s.last < t {
			ended = append(ended, s)
			delete(o.series, key)
		}
	}
	return ended
}
