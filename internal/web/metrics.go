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
	g := newGathering(s.Recent.View(), r.URL.Query().Get("workload") == "true", s.MaxSeries)
	rest := []*dto.MetricFamily{g.info()}
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

// A source is one target on /metrics.
type source struct {
	group  *metric.Group
	ended  bool
	epoch  time.Time // of the agent
	labels []store.Pair
	text   []byte           // labels as text
	pairs  []*dto.LabelPair // labels as protobuf; made when wanted
}

// began is since when totals count, where that is known: the target began under
// the eyes of this agent.
func (s *source) began() *timestamppb.Timestamp {
	if s.group.Target.Started.Before(s.epoch) {
		return nil
	}
	return timestamppb.New(s.group.Target.Started)
}

// A gathering is what one scrape is told.
type gathering struct {
	sources  []source
	families []gathered // by name
	leftOut  int        // series over the limit
	classic  map[metric.Unit]edges
}

// gathered is one family with its samples.
type gathered struct {
	family  *metric.Family
	name    string
	entries []entry
}

type entry struct {
	source *source
	sample *metric.Sample
}

// newGathering takes at most limit series, those of the targets that live longest
// first.
func newGathering(v *store.View, workload bool, limit int) *gathering {
	g := &gathering{classic: map[metric.Unit]edges{}}
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
	g.sort(limit)
	return g
}

// sort puts the samples of one family together.
func (g *gathering) sort(limit int) {
	index, taken := map[*metric.Family]int{}, 0
	for _, src := range g.eldest() {
		for j := range src.group.Samples {
			m := &src.group.Samples[j]
			if src.ended && m.Family.Kind == metric.Gauge {
				continue // what is gone has no memory
			}
			if m.Family.Kind == metric.Histogram && m.Sum == nil {
				continue // it was not read
			}
			if taken++; taken > limit {
				g.leftOut++
				continue
			}
			at, found := index[m.Family]
			if !found {
				at = len(g.families)
				index[m.Family] = at
				g.families = append(g.families, gathered{family: m.Family, name: m.Family.PromName()})
			}
			g.families[at].entries = append(g.families[at].entries, entry{src, m})
		}
	}
	slices.SortFunc(g.families, func(a, b gathered) int { return cmp.Compare(a.name, b.name) })
}

// label gives every source its labels, no two the same ones.
func (g *gathering) label(workload bool) {
	slices.SortStableFunc(g.sources, func(a, b source) int {
		return cmp.Or(compareBool(a.ended, b.ended), b.group.Target.Started.Compare(a.group.Target.Started), cmp.Compare(a.group.Target.ID, b.group.Target.ID))
	})
	taken := map[string]bool{}
	for i := range g.sources {
		t := g.sources[i].group.Target
		pairs := store.PublicLabels(t)
		if workload && t.Workload != "" {
			pairs = append(pairs, store.Pair{Name: "workload", Value: strings.ToValidUTF8(t.Workload, "\uFFFD")})
		}
		var key strings.Builder
		for _, p := range pairs {
			key.WriteString(p.Name + "\xff" + p.Value + "\xff")
		}
		if taken[key.String()] {
			pairs = append(pairs, store.Pair{Name: "target", Value: string(t.ID)})
		}
		taken[key.String()] = true
		g.sources[i].labels = pairs
	}
}

func labelPairs(pairs []store.Pair) []*dto.LabelPair {
	out := make([]*dto.LabelPair, len(pairs))
	for i := range pairs {
		out[i] = &dto.LabelPair{Name: &pairs[i].Name, Value: &pairs[i].Value}
	}
	return out
}

// eldest lists the sources, the living before the ended, by when they began.
func (g *gathering) eldest() []*source {
	order := make([]*source, len(g.sources))
	for i := range order {
		order[i] = &g.sources[i]
	}
	slices.SortStableFunc(order, func(a, b *source) int {
		return cmp.Or(compareBool(a.ended, b.ended), a.group.Target.Started.Compare(b.group.Target.Started))
	})
	return order
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
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
