package budget

import (
	"math"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

func family(name string, kind metric.Kind, prices ...metric.Price) *metric.Family {
	return &metric.Family{Name: name, Tier: metric.Event, Kind: kind, Unit: metric.One, Prices: prices}
}

func sum(shares []Share, keep func(Share) bool) float64 {
	t := 0.0
	for _, s := range shares {
		if keep(s) {
			t += s.Time
		}
	}
	return t
}

func all(Share) bool { return true }

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

func TestSharesAddUpToTheProgram(t *testing.T) {
	a := family("a", metric.Histogram, metric.Price{Program: "p", Open: 60, Closed: 40, Runs: 1})
	b := family("b", metric.Counter, metric.Price{Program: "p", Open: 90, Closed: 40, Runs: 2})
	bytes := &metric.Family{Name: "bytes", Kind: metric.Counter, Unit: metric.Bytes}
	for name, u := range map[string]struct {
		Use
		Events
	}{
		"one":         {Use{Program: "p", Families: []*metric.Family{a}, Runs: 100, Time: 7000}, Events{a: {"x": 50, "y": 20}}},
		"two":         {Use{Program: "p", Families: []*metric.Family{a, b}, Runs: 100, Time: 7000}, Events{a: {"x": 50}, b: {"x": 10, "y": 20}}},
		"nobody":      {Use{Program: "p", Families: []*metric.Family{a, b}, Runs: 100, Time: 7000}, nil},
		"more claims": {Use{Program: "p", Families: []*metric.Family{a, b}, Runs: 100, Time: 7000}, Events{a: {"x": 500}, b: {"y": 300}}},
		"bytes":       {Use{Program: "p", Families: []*metric.Family{bytes}, Runs: 100, Time: 7000}, Events{bytes: {"x": 1e6, "y": 1e6}}},
		"a pass":      {Use{Program: "p", Families: []*metric.Family{a, b}, Runs: 100, Time: 7000, Iterator: true}, Events{a: {"x": 2}, b: {"x": 0, "y": 0}}},
	} {
		near(t, name, sum(Split(u.Use, u.Events), all), 7000)
	}
}

// What a neighbour does costs the neighbour, or the gate where nobody wants it.
func TestNeighbourPaysForHimself(t *testing.T) {
	a := family("a", metric.Histogram, metric.Price{Program: "p", Open: 60, Closed: 40, Runs: 1})
	mine := func(s Share) bool { return s.Target == "me" }
	bill := func(runs, mine, his float64) []Share {
		time := (mine+his)*60 + (runs-mine-his)*40
		return Split(Use{Program: "p", Families: []*metric.Family{a}, Runs: runs, Time: time}, Events{a: {"me": mine, "he": his}})
	}
	quiet := sum(bill(1000, 1000, 0), mine)
	near(t, "wanted storm", sum(bill(1_001_000, 1000, 1_000_000), mine), quiet)
	unwanted := bill(1_001_000, 1000, 0)
	near(t, "unwanted storm", sum(unwanted, mine), quiet)
	near(t, "gate", sum(unwanted, func(s Share) bool { return s.Target == "" }), 40e6)
}

// One more target costs what the one like it does.
func TestAnother(t *testing.T) {
	b := metric.Bill{Node: metric.NodeCost{ProgramsPercent: 3, AgentPercent: 1, StorePercent: 1, CPUPercent: 5, Series: 10}, Families: []metric.FamilyCost{
		{Family: "a", Tier: metric.Event, CPUPercent: 3, Series: 2, Containers: []metric.ContainerCost{{Target: "x", ID: "1", CPUPercent: 2}, {Target: "y", ID: "2", CPUPercent: 0.5}}},
		{Family: "b", Tier: metric.File, CPUPercent: 1, Series: 2, Containers: []metric.ContainerCost{{Target: "y", ID: "2", CPUPercent: 1}}},
	}}
	then := Another(b, "1")
	near(t, "programs", then.Node.ProgramsPercent, 5)
	near(t, "store", then.Node.StorePercent, 1.1)
	near(t, "node", then.Node.CPUPercent, 7.1)
	near(t, "family", then.Families[0].CPUPercent, 5)
	near(t, "other family", then.Families[1].CPUPercent, 1)
	if len(b.Families[0].Containers) != 2 || then.Node.Series != 11 {
		t.Errorf("before %+v, after %+v", b, then)
	}
}
