package web

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/testing/protocmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// Our text says what that of Prometheus' own encoder says, with any label value.
func FuzzText(f *testing.F) {
	f.Add("web", "read", uint64(1000), []byte{1, 0, 2})
	f.Add("\xa0", "0", uint64(1), []byte{})
	f.Add("a\"b\\c\nd", "\xff", uint64(1<<63), []byte{})
	f.Fuzz(func(t *testing.T, name, op string, total uint64, counts []byte) {
		c := container(name, begin())
		c.Pod = name
		h := metric.Hist{Sum: total, First: 3, Counts: make([]uint64, min(len(counts), 100))}
		for i := range h.Counts {
			h.Counts[i] = uint64(counts[i])
		}
		b := batchAt(begin(), 1, metric.Group{Target: c, Samples: []metric.Sample{
			{Family: sent, Total: total}, {Family: used, Value: total}, {Family: runq, Sum: &h}, {Family: disk, Sum: &h, Labels: [2]string{op}},
		}})
		g := newGathering(&store.View{Batches: []*metric.Batch{b}}, true, 100)
		for i := range g.families {
			var theirs bytes.Buffer
			if _, err := expfmt.MetricFamilyToText(&theirs, g.dto(&g.families[i], false)); err != nil {
				t.Fatal(err)
			}
			ours := g.text(nil, &g.families[i])
			if diff := cmp.Diff(parsed(t, theirs.Bytes()), parsed(t, ours), protocmp.Transform()); diff != "" {
				t.Errorf("(-theirs +ours)\n%s\n%s", diff, ours)
			}
		}
	})
}

func parsed(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return families
}
