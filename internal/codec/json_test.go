package codec

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

func TestWriteJSON(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 1, 0, time.UTC)
	counter := &metric.Family{Name: "cpu_usage", Kind: metric.Counter, Unit: metric.Seconds}
	gauge := &metric.Family{Name: "tcp_connections", Kind: metric.Gauge, Unit: metric.One, Labels: []metric.Label{{Name: "state"}}}
	hist := &metric.Family{Name: "runq_latency", Kind: metric.Histogram, Unit: metric.Seconds}
	counts := make([]uint64, metric.Buckets)
	counts[80], counts[110] = 3, 1
	h := metric.NewHist(5e9, counts)
	b := &metric.Batch{
		Node: "n", Epoch: 7, Seq: 2, Generation: 3, Slot: at, Start: at.Add(-time.Second), End: at, Interval: time.Second,
		Groups: []metric.Group{{
			Target: &metric.Target{ID: "x", Kind: metric.Plain, Node: "n", Cgroup: "/x", Started: at}, Last: true,
			Samples: []metric.Sample{
				{Family: counter, Value: 1.5e9, Total: 4e9, Ratio: 1},
				{Family: gauge, Labels: [2]string{"listen"}, Value: 2, Max: 5, Ratio: 1},
				{Family: hist, Hist: &h, Sum: &h, Ratio: 0.5},
			},
		}},
	}
	var out bytes.Buffer
	if err := WriteJSON(&out, b); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 || !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("not one line: %q", out.String())
	}
	var got struct {
		Node   string
		Seq    uint64
		Groups []struct {
			Last    bool
			Samples []map[string]any
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"family": "cpu_usage", "value": 1.5, "total": 4.0, "ratio": 1.0},
		{"family": "tcp_connections", "labels": map[string]any{"state": "listen"}, "value": 2.0, "max": 5.0, "ratio": 1.0},
		{"family": "runq_latency", "count": 4.0, "sum": 5.0, "ratio": 0.5, "buckets": []any{[]any{1.0, 3.0}, []any{"+Inf", 1.0}}},
	}
	if d := cmp.Diff(want, got.Groups[0].Samples); d != "" {
		t.Error(d)
	}
	if got.Node != "n" || got.Seq != 2 || !got.Groups[0].Last {
		t.Errorf("got %+v", got)
	}
}
