package catalogue

import (
	"slices"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Every family has a class of cost that comes from the table, and what is measured by
// default is cheap enough to be always on.
func TestEveryFamilyHasAPrice(t *testing.T) {
	rows, err := Prices()
	if err != nil {
		t.Fatal(err)
	}
	rates := ReferenceRates()
	families := Families()
	for _, r := range rows {
		if !slices.ContainsFunc(families, func(f *metric.Family) bool { return priceOf(f) == r.Family }) {
			t.Errorf("prices.csv: there is no family %s (any more): take its row out", r.Family)
		}
		if rates[r.Each] == 0 {
			t.Errorf("prices.csv: %s: ReferenceRates has no rate of %q", r.Family, r.Each)
		}
	}
	for _, f := range families {
		if f.Tier == metric.Self {
			continue
		}
		if f.CostNs <= 0 || f.CostRate <= 0 {
			t.Errorf("%s has no price: give it a load in internal/probe/prices_test.go and run `make prices`", f.Name)
			continue
		}
		if f.CostClass() != metric.AlwaysOn && !f.OnDemand {
			t.Errorf("%s takes %.2f %% of a CPU at the reference load: its class is %s, so that it must not be on by default", f.Name, f.CostShare()*100, f.CostClass())
		}
		for _, p := range f.Prices {
			if !slices.ContainsFunc(f.Rungs, func(rung []string) bool { return slices.Contains(rung, p.Program) }) {
				t.Errorf("prices.csv: %s has no program %s (any more): run `make prices`", f.Name, p.Program)
			}
		}
	}
}
