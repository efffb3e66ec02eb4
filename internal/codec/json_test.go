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

func TestJSON(t *testing.T) {
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
	if err := (&JSON{W: &out}).Write(b); err != nil {
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

func TestBaseUnitsAreExact(t *testing.T) {
	for want, v := range map[string]uint64{
		"0": 0, "1": 1e9, "0.000000001": 1, "0.1": 1e8, "12.034": 12034e6, "18446744073.709551615": 1<<64 - 1, "1.000000009": 1000000009,
	} {
		if got := string(appendBase(nil, v, 1e9)); got != want {
			t.Errorf("%d ns: %s, want %s", v, got, want)
		}
	}
	if got := string(appendBase(nil, 42, 1)); got != "42" {
		t.Errorf("42: %s", got)
	}
}

// Whatever is in a name, the line is JSON and says it back.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"redis", "a\"b", "\\", "\n", "\xff", "ü", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := &metric.Batch{Node: s, Faults: []string{s}, Groups: []metric.Group{{Target: &metric.Target{Container: s}}}}
		line := new(JSON).appendBatch(nil, b)
		var got struct{ Node string }
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); len(s) == len(want) && got.Node != want {
			t.Errorf("%q came back as %q", s, got.Node)
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	var families []*metric.Family
	for range 50 {
		families = append(families, &metric.Family{Name: "tcp_sent_bytes_of_them", Kind: metric.Counter, Unit: metric.Seconds})
	}
	batch := &metric.Batch{Node: "n"}
	for range 100 {
		g := metric.Group{Target: &metric.Target{ID: "0123456789abcdef", Kind: metric.Container, Container: "c", Cgroup: "/a/b/c"}}
		for _, f := range families {
			g.Samples = append(g.Samples, metric.Sample{Family: f, Value: 1234567, Total: 98765432100, Ratio: 1})
		}
		batch.Groups = append(batch.Groups, g)
	}
	j := JSON{W: &bytes.Buffer{}}
	b.ReportAllocs()
	for b.Loop() {
		j.W.(*bytes.Buffer).Reset()
		if err := j.Write(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/sample")
}

// Targets are written once, and again when they are others; those of the last batch
// alone are remembered.
func TestJSONRemembersTargets(t *testing.T) {
	var out bytes.Buffer
	j := &JSON{W: &out}
	batch := func(targets ...*metric.Target) *metric.Batch {
		b := &metric.Batch{}
		for _, x := range targets {
			b.Groups = append(b.Groups, metric.Group{Target: x})
		}
		return b
	}
	old, renamed, other := &metric.Target{ID: "x"}, &metric.Target{ID: "x", Container: "web"}, &metric.Target{ID: "y"}
	var lines []string
	for _, b := range []*metric.Batch{batch(old, other), batch(old, other), batch(renamed), batch(renamed, other)} {
		out.Reset()
		if err := j.Write(b); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, out.String())
		if len(j.targets) != len(b.Groups) {
			t.Errorf("%d targets are remembered of %d", len(j.targets), len(b.Groups))
		}
	}
	if lines[0] != lines[1] {
		t.Errorf("the same batch is\n%s\nthen\n%s", lines[0], lines[1])
	}
	if !strings.Contains(lines[2], `"web"`) || strings.Contains(lines[2], `"y"`) || !strings.Contains(lines[3], `"y"`) {
		t.Errorf("after a change: %s, %s", lines[2], lines[3])
	}
}
