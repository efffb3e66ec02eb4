package web

import (
	"bufio"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// metrics answers a scrape in the format that the scraper likes best: text,
// OpenMetrics, or protobuf, which alone carries native histograms.
func (s *server) metrics(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	g := newGathering(s.Recent.View(), r.URL.Query().Get("workload") == "true", format.FormatType() == expfmt.TypeProtoDelim)
	families := g.families()
	if s.Own != nil {
		families = append(families, ownFamilies(s.Own())...)
	}
	w.Header().Set("Content-Type", string(format))
	out := bufio.NewWriterSize(w, 64<<10)
	e := expfmt.NewEncoder(out, format)
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			s.Log.Debug("write metrics", "family", f.GetName(), "err", err)
			return
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		if err := c.Close(); err != nil {
			s.Log.Debug("write metrics", "err", err)
			return
		}
	}
	if err := out.Flush(); err != nil {
		s.Log.Debug("write metrics", "err", err)
	}
}

// A source is one target on /metrics.
type source struct {
	group  *metric.Group
	ended  bool
	epoch  time.Time // of the agent
	labels []*dto.LabelPair
}

// began is since when totals count, where that is known: the target began under
// the eyes of this agent.
func (s *source) began() *timestamppb.Timestamp {
	if s.group.Target.Started.Before(s.epoch) {
		return nil
	}
	return timestamppb.New(s.group.Target.Started)
}

// A gathering makes the families of one scrape.
type gathering struct {
	sources []source
	native  bool // with native histograms
	classic map[metric.Unit]edges
}

func newGathering(v *store.View, workload, native bool) *gathering {
	g := &gathering{native: native, classic: map[metric.Unit]edges{}}
	taken := map[metric.TargetID]bool{}
	for _, b := range v.Batches {
		for i := range b.Groups {
			if !b.Groups[i].Last {
				g.sources = append(g.sources, source{group: &b.Groups[i], epoch: time.Unix(0, b.Epoch)})
				taken[b.Groups[i].Target.ID] = true
			}
		}
	}
	for i := len(v.Ended) - 1; i >= 0; i-- {
		e := &v.Ended[i]
		if !taken[e.Group.Target.ID] {
			g.sources = append(g.sources, source{group: &e.Group, ended: true, epoch: time.Unix(0, e.Epoch)})
			taken[e.Group.Target.ID] = true
		}
	}
	g.label(workload)
	return g
}

// label gives every source its labels, no two the same ones.
func (g *gathering) label(workload bool) {
	slices.SortStableFunc(g.sources, func(a, b source) int {
		if a.ended != b.ended {
			if a.ended {
				return 1
			}
			return -1
		}
		return cmp.Or(b.group.Target.Started.Compare(a.group.Target.Started), cmp.Compare(a.group.Target.ID, b.group.Target.ID))
	})
	taken := map[string]bool{}
	for i := range g.sources {
		t := g.sources[i].group.Target
		pairs := store.PublicLabels(t)
		if workload && t.Workload != "" {
			pairs = append(pairs, store.Pair{Name: "workload", Value: t.Workload})
		}
		var key strings.Builder
		for _, p := range pairs {
			key.WriteString(p.Name + "\xff" + p.Value + "\xff")
		}
		if taken[key.String()] {
			pairs = append(pairs, store.Pair{Name: "target", Value: string(t.ID)})
		}
		taken[key.String()] = true
		g.sources[i].labels = labelPairs(pairs)
	}
}

func labelPairs(pairs []store.Pair) []*dto.LabelPair {
	out := make([]*dto.LabelPair, len(pairs))
	for i := range pairs {
		out[i] = &dto.LabelPair{Name: &pairs[i].Name, Value: &pairs[i].Value}
	}
	return out
}

// families are those of the samples by name, and viperprobe_target_info.
func (g *gathering) families() []*dto.MetricFamily {
	found := map[*metric.Family]*dto.MetricFamily{}
	info := family(store.InfoName, "What is known of a target besides the labels of its series; always 1.", dto.MetricType_GAUGE)
	out := []*dto.MetricFamily{info}
	for i := range g.sources {
		src := &g.sources[i]
		info.Metric = append(info.Metric, &dto.Metric{Label: labelPairs(store.InfoLabels(src.group.Target)), Gauge: &dto.Gauge{Value: new(1.0)}})
		for j := range src.group.Samples {
			m := &src.group.Samples[j]
			if src.ended && m.Family.Kind == metric.Gauge {
				continue // what is gone has no memory
			}
			f := found[m.Family]
			if f == nil {
				f = family(m.Family.PromName(), m.Family.Help, dtoType(m.Family.Kind))
				found[m.Family] = f
				out = append(out, f)
			}
			if made := g.sample(src, m); made != nil {
				f.Metric = append(f.Metric, made)
			}
		}
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out
}

func family(name, help string, kind dto.MetricType) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
}

func dtoType(k metric.Kind) dto.MetricType {
	switch k {
	case metric.Counter:
		return dto.MetricType_COUNTER
	case metric.Histogram:
		return dto.MetricType_HISTOGRAM
	}
	return dto.MetricType_GAUGE
}

// sample is one series of a scrape; nil for a histogram that was not read.
func (g *gathering) sample(src *source, m *metric.Sample) *dto.Metric {
	ls := src.labels
	if n := len(m.Family.Labels); n > 0 {
		ls = slices.DeleteFunc(slices.Clone(ls), func(p *dto.LabelPair) bool { return hasLabel(m.Family, p.GetName()) })
		for i := range n {
			if m.Labels[i] != "" {
				ls = append(ls, &dto.LabelPair{Name: &m.Family.Labels[i].Name, Value: new(strings.ToValidUTF8(m.Labels[i], "\uFFFD"))})
			}
		}
	}
	switch m.Family.Kind {
	case metric.Counter:
		return &dto.Metric{Label: ls, Counter: &dto.Counter{Value: new(float64(m.Total) / m.Family.Scale()), CreatedTimestamp: src.began()}}
	case metric.Histogram:
		if m.Sum == nil {
			return nil
		}
		h := g.histogram(m.Family, m.Sum)
		h.CreatedTimestamp = src.began()
		return &dto.Metric{Label: ls, Histogram: h}
	}
	return &dto.Metric{Label: ls, Gauge: &dto.Gauge{Value: new(float64(m.Value) / m.Family.Scale())}}
}

func hasLabel(f *metric.Family, name string) bool {
	return slices.ContainsFunc(f.Labels, func(l metric.Label) bool { return l.Name == name })
}

// ownFamilies puts the numbers about ourselves under their names.
func ownFamilies(own []Own) []*dto.MetricFamily {
	found := map[string]*dto.MetricFamily{}
	var out []*dto.MetricFamily
	for i := range own {
		o := &own[i]
		f := found[o.Name]
		if f == nil {
			f = family(o.Name, o.Help, dtoType(o.Kind))
			found[o.Name] = f
			out = append(out, f)
		}
		m := &dto.Metric{Label: labelPairs(o.Labels)}
		if o.Kind == metric.Counter {
			m.Counter = &dto.Counter{Value: &o.Value}
		} else {
			m.Gauge = &dto.Gauge{Value: &o.Value}
		}
		f.Metric = append(f.Metric, m)
	}
	return out
}
