package store

import (
	"context"
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"viperprobe.dev/viperprobe/internal/metric"
)

// ratio writes the share of events at which a family of a target was looked, once a
// batch; from the first that is not all of them.
func (w *writer) ratio(e *target, m *metric.Sample, t int64) error {
	s := e.ratios[m.Family]
	if s == nil {
		c := &w.store.cache
		if m.Ratio >= 1 || m.Ratio <= 0 || c.live >= c.maxSeries {
			return nil
		}
		s = &series{labels: build(RatioName, append([]Pair{{"family", m.Family.Name}}, e.base...)...)}
		if e.ratios == nil {
			e.ratios = map[*metric.Family]*series{}
		}
		e.ratios[m.Family] = s
		c.live++
	}
	if s.last >= t {
		return nil
	}
	return w.put(s, t, m.Ratio, nil)
}

// expireRatios forgets those that were last written before t, and returns them.
func (c *cache) expireRatios(e *target, t int64) []*series {
	var ended []*series
	for f, s := range e.ratios {
		if s.last < t {
			ended = append(ended, s)
			delete(e.ratios, f)
			c.live--
		}
	}
	return ended
}

// ratios are the shares of events that were looked at, by target and time; what is
// not in it was looked at in full.
type ratios map[string]map[int64]float64

func readRatios(ctx context.Context, data storage.Querier, f *metric.Family) (ratios, error) {
	found := ratios{}
	set := data.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, RatioName),
		labels.MustNewMatcher(labels.MatchEqual, "family", f.Name))
	for set.Next() {
		id, it := set.At().Labels().Get("target"), set.At().Iterator(nil)
		if found[id] == nil {
			found[id] = map[int64]float64{}
		}
		for it.Next() == chunkenc.ValFloat {
			if t, v := it.At(); v > 0 && v < 1 { // not the mark of an end, which is no number
				found[id][t] = v
			}
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
	}
	return found, set.Err()
}

// A sampled is what is known of estimates in a window.
type sampled struct {
	looked, stood float64 // events at which was looked, and that they stand for
	variance      float64 // if events came independently of each other
	ratio         float64 // of the last sample; 0: there is none
	current       float64 // variance between samples of the series at hand
	spread        float64 // the same as a deviation, of series that are done
}

// add takes in an estimate of n events, with the variance that its series has shown
// between samples.
func (s *sampled) add(n, ratio, between float64) {
	s.looked += n * ratio
	s.stood += n
	s.variance += n * (1 - ratio) / ratio
	s.current += between
	s.ratio = ratio
}

// done ends a series. Windows are open for all series at the same time, so that errors
// go the same way: it is deviations that add up, not variances.
func (s *sampled) done() {
	s.spread += math.Sqrt(s.current)
	s.current = 0
}

// share is the ratio of all of them, 0 when all were looked at.
func (s *sampled) share() float64 {
	ratio := s.ratio
	if s.stood > 0 {
		ratio = s.looked / s.stood
	}
	if ratio == 1 {
		return 0
	}
	return ratio
}

// deviation is the standard error of the sum: what it was between samples, and not less
// than if events came independently of each other. A share r of N binomially chosen
// events gives N with a variance of N(1-r)/r.
func (s *sampled) deviation() float64 { return max(math.Sqrt(s.variance), s.spread) }
