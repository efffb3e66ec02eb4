package catalogue

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"viperprobe.dev/viperprobe/internal/metric"
)

// What is measured anew takes the place of what was, and the rest stays as it is.
func TestUpdatePrices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prices.csv")
	if err := os.WriteFile(file, []byte(prices), 0o600); err != nil {
		t.Fatal(err)
	}
	row := PriceRow{Family: "forks", Each: "process", Ns: 123, How: "measured", Programs: []metric.Price{{Program: "process_fork", Open: 120, Closed: 60, Runs: 1}}}
	if err := UpdatePrices(file, []PriceRow{row}); err != nil {
		t.Fatal(err)
	}
	want, err := Prices()
	if err != nil {
		t.Fatal(err)
	}
	want[slices.IndexFunc(want, func(r PriceRow) bool { return r.Family == "forks" })] = row
	r, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := ReadPrices(r)
	byName := cmpopts.SortSlices(func(a, b PriceRow) bool { return a.Family < b.Family })
	if d := cmp.Diff(want, got, byName); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

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
		if r.Family == ClockRow || r.Family == EntryRow || r.Family == TrapRow {
			if r.Ns <= 0 {
				t.Errorf("prices.csv: %s: %v ns", r.Family, r.Ns)
			}
			continue
		}
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
