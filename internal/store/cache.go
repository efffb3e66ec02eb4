package store

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A series is where one family of one target with one set of label values goes.
type series struct {
	family *metric.Family // nil: viperprobe_target_info
	values [2]string
	labels labels.Labels
	ref    storage.SeriesRef
	fresh  bool    // nothing written since this target began or we came
	last   int64   // time of the newest sample
	max    *series // gauges: NAME_max, once it was needed

	// Overflow only: what was summed so far, and the batch in which it was last.
	sum   *metric.Sample
	batch uint64
}

// A target holds the series of one target of one node.
type target struct {
	of     *metric.Target
	base   []Pair // of every series
	info   *series
	series []*series // in the order of the target's samples, as far as that is stable
	index  map[seriesKey]*series
	found  map[string]int // label values found at run time, by family
	last   int64          // time of the newest sample
}

type seriesKey struct {
	family *metric.Family
	values [2]string
}

type targetKey struct {
	node string
	id   metric.TargetID
}

type overflowKey struct {
	node   string
	target metric.TargetID // "" or the target whose label has too many values
	series seriesKey
}

// A cache knows the TSDB's reference of every live series, so that a sample
// costs no work on labels. It holds MaxSeries at most, besides one overflow series
// for each family, and forgets what has ended.
type cache struct {
	maxSeries, maxValues int

	live     int
	targets  map[targetKey]*target
	overflow map[overflowKey]*series
	touched  []*series // overflow series of the batch at hand
	batch    uint64
}

func newCache(o Options) cache {
	return cache{
		maxSeries: o.MaxSeries, maxValues: o.MaxValues,
		targets: map[targetKey]*target{}, overflow: map[overflowKey]*series{},
	}
}

// forget drops everything, for when what was written is in doubt: each series
// then begins again with what it was when its window began.
func (c *cache) forget() {
	*c = cache{
		maxSeries: c.maxSeries, maxValues: c.maxValues, batch: c.batch,
		targets: map[targetKey]*target{}, overflow: map[overflowKey]*series{},
	}
}

// find is the series for sample i of t. When a cap forbids a series of its own
// it returns the overflow series and true.
func (c *cache) find(t *target, i int, m *metric.Sample) (*series, bool) {
	if i < len(t.series) {
		if s := t.series[i]; s.family == m.Family && s.values == m.Labels {
			return s, false
		}
	}
	key := seriesKey{m.Family, m.Labels}
	if s := t.index[key]; s != nil {
		return s, false
	}
	if c.live >= c.maxSeries {
		return c.overflowFor(t.of.Node, nil, m), true
	}
	if unbounded(m.Family) {
		if t.found[m.Family.Name] >= c.maxValues {
			return c.overflowFor(t.of.Node, t, m), true
		}
		t.found[m.Family.Name]++
	}
	s := &series{
		family: m.Family, values: m.Labels, fresh: true,
		labels: seriesLabels(m.Family.PromName(), t.base, m.Family, m.Labels),
	}
	t.index[key] = s
	t.series = append(t.series, s)
	c.live++
	return s, false
}

// unbounded reports whether f has a label whose values are found at run time.
func unbounded(f *metric.Family) bool {
	for i := range f.Labels {
		if f.Labels[i].Values == nil {
			return true
		}
	}
	return false
}

// overflowFor is the series in which m is summed: that of the target with the
// open label values replaced, or (t nil) that of the node's target "other".
func (c *cache) overflowFor(node string, t *target, m *metric.Sample) *series {
	values := m.Labels
	for i := range m.Family.Labels {
		if m.Family.Labels[i].Values == nil {
			values[i] = Other
		}
	}
	key := overflowKey{node: node, series: seriesKey{m.Family, values}}
	base := []Pair{{"target", Other}, {"container", Other}, {"node", node}}
	if t != nil {
		key.target, base = t.of.ID, t.base
	}
	s := c.overflow[key]
	if s == nil {
		s = &series{
			family: m.Family, values: values, fresh: true, sum: &metric.Sample{Family: m.Family, Ratio: 1},
			labels: seriesLabels(m.Family.PromName(), base, m.Family, values),
		}
		c.overflow[key] = s
	}
	return s
}

// add sums m into overflow series s: increases, because totals of targets that
// come and go would fall.
func (c *cache) add(s *series, m *metric.Sample) {
	if s.batch != c.batch {
		s.batch = c.batch
		s.sum.Value, s.sum.Max, s.sum.Hist = 0, 0, nil
		c.touched = append(c.touched, s)
	}
	s.sum.Value += m.Value
	s.sum.Max += m.Max
	s.sum.Total += m.Value
	if m.Hist == nil {
		return
	}
	if s.sum.Hist == nil {
		s.sum.Hist = &metric.Hist{}
	}
	if s.sum.Sum == nil {
		s.sum.Sum = &metric.Hist{}
	}
	s.sum.Hist.Add(m.Hist)
	s.sum.Sum.Add(m.Hist)
}

// target is the entry of t, made or brought up to date. It returns the series
// that end because the target got other names.
func (c *cache) target(t *metric.Target) (*target, []*series) {
	key := targetKey{t.Node, t.ID}
	e := c.targets[key]
	if e != nil && e.of == t {
		return e, nil
	}
	base := append([]Pair{{"target", string(t.ID)}}, PublicLabels(t)...)
	if e != nil && samePairs(e.base, base) {
		if e.of.Incarnation != t.Incarnation {
			e.restart()
		}
		old := e.info
		e.of, e.info = t, infoSeries(t)
		if labels.Equal(old.labels, e.info.labels) {
			e.info = old
			return e, nil
		}
		return e, []*series{old}
	}
	var ended []*series
	last := int64(0)
	if e != nil {
		ended, last = c.remove(e), e.last
	}
	e = &target{
		of: t, base: base, info: infoSeries(t), last: last,
		index: map[seriesKey]*series{}, found: map[string]int{},
	}
	c.targets[key] = e
	return e, ended
}

// restart is for a target that began again under the same id: its totals did too.
func (t *target) restart() {
	for _, s := range t.series {
		s.fresh = true
	}
}

// remove forgets t and returns its series.
func (c *cache) remove(t *target) []*series {
	delete(c.targets, targetKey{t.of.Node, t.of.ID})
	for key := range c.overflow {
		if key.target == t.of.ID && key.node == t.of.Node {
			t.series = append(t.series, c.overflow[key])
			delete(c.overflow, key)
			c.live++ // not counted when it was made
		}
	}
	ended := append([]*series{t.info}, t.series...)
	for _, s := range t.series {
		c.live--
		if s.max != nil {
			c.live--
			ended = append(ended, s.max)
		}
	}
	return ended
}

// expire forgets the series that were last written before t, and the targets
// that have none left.
func (c *cache) expire(t int64) []*series {
	var ended []*series
	for _, e := range c.targets {
		if e.last < t {
			ended = append(ended, c.remove(e)...)
			continue
		}
		kept := e.series[:0]
		for _, s := range e.series {
			if s.last >= t {
				kept = append(kept, s)
				continue
			}
			ended = append(ended, s)
			delete(e.index, seriesKey{s.family, s.values})
			if unbounded(s.family) {
				e.found[s.family.Name]--
			}
			c.live--
			if s.max != nil {
				ended = append(ended, s.max)
				c.live--
			}
		}
		clear(e.series[len(kept):])
		e.series = kept
	}
	for key, s := range c.overflow {
		if s.last < t {
			ended = append(ended, s)
			delete(c.overflow, key)
		}
	}
	return ended
}

func infoSeries(t *metric.Target) *series {
	return &series{labels: build(InfoName, InfoLabels(t)...)}
}

func samePairs(a, b []Pair) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
