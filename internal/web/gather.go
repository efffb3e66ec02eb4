package web

import (
	"cmp"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

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
