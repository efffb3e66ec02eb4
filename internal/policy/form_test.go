package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

func TestInForm(t *testing.T) {
	all := []*metric.Family{
		{Name: "delay", Class: metric.CPU, Tier: metric.Snapshot},
		{Name: "latency", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram, Sum: "delay", Sampling: metric.Events},
		{Name: "slice", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram},
		{Name: "bytes", Class: metric.Network, Tier: metric.Snapshot},
	}
	for name, x := range map[string]struct {
		form, word string
		ratio      float64
		want       []Want
		fault      string
	}{
		"as they are":          {"", "cpu", 1, []Want{{Family: "delay", Ratio: 1}, {Family: "latency", Ratio: 1}, {Family: "slice", Ratio: 1}}, ""},
		"sum of a histogram":   {"sum", "latency", 1, []Want{{Family: "latency"}, {Family: "delay", Ratio: 1}}, ""},
		"sum of a counter":     {"sum", "bytes", 1, []Want{{Family: "bytes", Ratio: 1}}, ""},
		"no sum":               {"sum", "slice", 1, nil, "slice is a histogram, and no family is its sum; remove the form"},
		"sums of a class":      {"sum", "cpu", 1, []Want{{Family: "latency"}, {Family: "delay", Ratio: 1}, {Family: "slice", Ratio: 0}}, ""},
		"a sampled sum":        {"sum", "latency", 0.1, nil, "delay cannot be sampled: it is read once a window and costs nothing between, so that a share of it would not cost less; want 0 (off) or 1 (on), have 0.1"},
		"histogram":            {"histogram", "latency", 0.1, []Want{{Family: "latency", Ratio: 0.1}}, ""},
		"histograms":           {"histogram", "cpu", 1, []Want{{Family: "latency", Ratio: 1}, {Family: "slice", Ratio: 1}}, ""},
		"no distribution":      {"histogram", "bytes", 1, nil, "bytes has no distribution; remove the form"},
		"its distribution":     {"histogram", "delay", 1, nil, "delay has no distribution: latency has that"},
		"no histogram of many": {"histogram", "network", 1, nil, "nothing of network has the form histogram"},
		"another":              {"mean", "cpu", 1, nil, `want sum or histogram, have "mean"`},
	} {
		families, err := Resolve([]string{x.word}, all)
		if err != nil {
			t.Fatal(err)
		}
		got, err := InForm(x.form, x.word, families, x.ratio, all)
		fault := ""
		if err != nil {
			fault = err.Error()
		}
		if d := cmp.Diff(x.want, got); d != "" || fault != x.fault {
			t.Errorf("%s: %s\n%s\nwant %s", name, d, fault, x.fault)
		}
	}
}

// Whatever a row names as a sum is a counter that is there, and another one.
func TestSumsAreCounters(t *testing.T) {
	families, n := catalogue.Families(), 0
	for _, f := range families {
		if f.Sum == "" {
			continue
		}
		n++
		sum, err := Resolve([]string{f.Sum}, families)
		if err != nil || len(sum) != 1 || sum[0].Kind != metric.Counter || sum[0] == f {
			t.Errorf("%s is the sum of %s: %v, %v", f.Sum, f.Name, sum, err)
		}
	}
	if n == 0 {
		t.Error("no family has a sum")
	}
}
