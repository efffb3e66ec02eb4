package store

import (
	"math"

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

	over *overflow // nil: a series of its own
}

// A target holds the series of one target of one node.
type target struct {
	of     *metric.Target
	base   []Pair // of every series
	info   *series
	series []*series // in the order of the target's samples, as far as that is stable
	index  map[seriesKey]*series
	found  map[string]int             // label values found at run time, by family
	other  others                     // for label values over the cap
	ratios map[*metric.Family]*series // of families that were ever sampled
	last   int64                      // time of the newest sample
}

type seriesKey struct {
	family *metric.Family
	values [2]string
}

type targetKey struct {
	node string
	id   metric.TargetID
}

// A cache knows the TSDB's reference of every live series, so that a sample
// costs no work on labels. It holds MaxSeries at most, besides one overflow series
// for each family, and forgets what has ended.
type cache struct {
	maxSeries, maxValues int

	live    int
	targets map[targetKey]*target
	others  map[string]*others // by node: for series over the cap
	batch   uint64
}

func newCache(o Options) cache {
	return cache{
		maxSeries: o.MaxSeries, maxValues: o.MaxValues,
		targets: map[targetKey]*target{}, others: map[string]*others{},
	}
}

// forget drops everything, for when what was written is in doubt: each series
// then begins again with what it was when its window began.
func (c *cache) forget() {
	*c = cache{
		maxSeries: c.maxSeries, maxValues: c.maxValues, batch: c.batch,
		targets: map[targetKey]*target{}, others: map[string]*others{},
	}
}

// find is the series for sample i of t. When a cap forbids a series of its own,
// m is summed where it belongs and the series is nil.
func (c *cache) find(t *target, i int, m *metric.Sample) *series {
	if i < len(t.series) {
		if s := t.series[i]; s.family == m.Family && s.values == m.Labels {
			return s
		}
	}
	key := seriesKey{m.Family, m.Labels}
	if s := t.index[key]; s != nil {
		return s
	}
	if c.live >= c.maxSeries {
		node := t.of.Node
		if c.others[node] == nil {
			c.others[node] = &others{}
		}
		c.others[node].add(m, c.batch, []Pair{{"target", Other}, {"container", Other}, {"node", node}})
		return nil
	}
	if unbounded(m.Family) {
		if t.found[m.Family.Name] >= c.maxValues {
			t.other.add(m, c.batch, t.base)
			return nil
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
	return s
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
	ended := append([]*series{t.info}, t.series...)
	for _, s := range t.other.series {
		ended = append(ended, s)
	}
	ended = append(ended, c.expireRatios(t, math.MaxInt64)...)
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
		ended = append(ended, e.other.expire(t)...)
		ended = append(ended, c.expireRatios(e, t)...)
	}
	for _, o := range c.others {
		ended = append(ended, o.expire(t)...)
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
