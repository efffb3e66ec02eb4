package web

import (
	"bufio"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// metrics answers a scrape in the format that the scraper likes best: text,
// OpenMetrics, or protobuf, which alone carries native histograms.
func (s *server) metrics(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	g := newGathering(s.Recent.View(), r.URL.Query().Get("workload") == "true", s.MaxSeries)
	rest := []*dto.MetricFamily{g.info()}
	if ratios := g.ratios(); len(ratios.Metric) > 0 {
		rest = append(rest, ratios)
	}
	rest = append(rest, ownFamilies([]Own{{
		Name: "viperprobe_metrics_left_out", Help: "Series that this scrape leaves out because there are too many.",
		Kind: metric.Gauge, Value: float64(g.leftOut),
	}})...)
	if s.Own != nil {
		rest = append(rest, ownFamilies(s.Own())...)
	}
	w.Header().Set("Content-Type", string(format))
	out := bufio.NewWriterSize(w, 64<<10)
	err := g.write(out, format, rest)
	if err == nil {
		err = out.Flush()
	}
	if err != nil { // the scraper went away
		s.Log.Debug("write metrics", "err", err)
	}
}

// write writes everything. Text, what most scrapers take, has an encoder of its
// own that costs a quarter of the general one.
func (g *gathering) write(out *bufio.Writer, format expfmt.Format, rest []*dto.MetricFamily) error {
	e := expfmt.NewEncoder(out, format)
	var buffer []byte
	for i := range g.families {
		f := &g.families[i]
		if format.FormatType() == expfmt.TypeTextPlain {
			buffer = g.text(buffer[:0], f)
			if _, err := out.Write(buffer); err != nil {
				return err
			}
		} else if err := e.Encode(g.dto(f, format.FormatType() == expfmt.TypeProtoDelim)); err != nil {
			return err
		}
	}
	for _, f := range rest {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}

// info is viperprobe_target_info.
func (g *gathering) info() *dto.MetricFamily {
	info := family(store.InfoName, "What is known of a target besides the labels of its series; always 1.", dto.MetricType_GAUGE)
	for i := range g.sources {
		ls := labelPairs(store.InfoLabels(g.sources[i].group.Target))
		info.Metric = append(info.Metric, &dto.Metric{Label: ls, Gauge: &dto.Gauge{Value: new(1.0)}})
	}
	return info
}

// ratios is viperprobe_sample_ratio.
func (g *gathering) ratios() *dto.MetricFamily {
	out := family(store.RatioName, "Share of a family's events that was looked at in the last window; its values are estimates of all of them. Absent: all.", dto.MetricType_GAUGE)
	for i := range g.sources {
		src, done := &g.sources[i], map[*metric.Family]bool{}
		if src.ended {
			continue
		}
		for j := range src.group.Samples {
			m := &src.group.Samples[j]
			if m.Ratio <= 0 || m.Ratio >= 1 || done[m.Family] {
				continue
			}
			done[m.Family] = true
			ls := labelPairs(append([]store.Pair{{Name: "family", Value: m.Family.Name}}, src.labels...))
			out.Metric = append(out.Metric, &dto.Metric{Label: ls, Gauge: &dto.Gauge{Value: &m.Ratio}})
		}
	}
	return out
}

// dto is a family in the form that expfmt encodes.
func (g *gathering) dto(f *gathered, native bool) *dto.MetricFamily {
	out := family(f.name, f.family.Help, dtoType(f.family.Kind))
	out.Metric = make([]*dto.Metric, len(f.entries))
	for i, e := range f.entries {
		out.Metric[i] = g.sample(e.source, e.sample, native)
	}
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

// sample is one series of a scrape.
func (g *gathering) sample(src *source, m *metric.Sample, native bool) *dto.Metric {
	if src.pairs == nil {
		src.pairs = labelPairs(src.labels)
	}
	ls := src.pairs
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
		h := g.histogram(m.Family, m.Sum)
		if native {
			addNative(h, m.Family, m.Sum)
		}
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
