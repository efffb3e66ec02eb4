package planted

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// A shop is the same each time, has trouble in some runs and not everywhere, and its causes are in its series.
func TestNew(t *testing.T) {
	most := 0
	for seed := range uint64(30) {
		s := New(seed)
		again := New(seed)
		if !slices.Equal(s.SLO, again.SLO) || !slices.Equal(s.Series[40].Values, again.Series[40].Values) {
			t.Fatalf("seed %d twice gives two shops", seed)
		}
		violated := 0
		for _, v := range s.SLO {
			if v {
				violated++
			}
		}
		if share := float64(violated) / float64(len(s.SLO)); share < .01 || share > .4 {
			t.Errorf("seed %d: %.3f of the rows are violated", seed, share)
		}
		most = max(most, len(s.Causes))
		if len(s.Causes) == 0 {
			t.Errorf("seed %d: no cause", seed)
		}
		for _, c := range s.Causes {
			for _, name := range c.Series {
				if !slices.ContainsFunc(s.Series, func(x analysis.Series) bool { return x.Name == name }) {
					t.Errorf("seed %d: cause %s is no series", seed, name)
				}
			}
		}
	}
	if most != 2 {
		t.Errorf("at most %d causes in a shop, want 2 in some", most)
	}
}

func TestMark(t *testing.T) {
	s := Shop{Causes: []Cause{{Series: []string{"a/x", "a/y"}}, {Series: []string{"b/z"}}}}
	m := s.Mark(analysis.Result{Cost: 3, Critical: []analysis.Critical{{Name: "a/x"}, {Name: "a/y"}, {Name: "c/w"}}})
	want := Marks{Causes: .5, Right: 2. / 3, Series: 3, Cost: 3}
	if d := cmp.Diff(want, m); d != "" {
		t.Errorf("marks (-want +got):\n%s", d)
	}
}

// The order of algorithms, loosely, on two shops: `make planted` prints the whole table.
func TestOrder(t *testing.T) {
	total := map[string]*Marks{}
	for seed := range uint64(2) {
		s := New(seed)
		o := analysis.Options{MostK: 3, Starts: 1, Candidates: 8, Folds: 2, Bootstraps: -1, Costs: s.Costs, Seed: seed}
		names := []string{"supervised", "kshape", "sieve", "cpu-memory", "rps", "all"}
		results, errs := analysis.Compare(s.Recording, o, names...)
		for i, name := range names {
			if errs[i] != nil {
				t.Fatalf("seed %d, %s: %v", seed, name, errs[i])
			}
			if total[name] == nil {
				total[name] = &Marks{}
			}
			m := s.Mark(results[i])
			total[name].Causes += m.Causes
			total[name].Right += m.Right
			total[name].AP += m.AP
			total[name].Cost += m.Cost
		}
	}
	ours := total["supervised"]
	for _, name := range []string{"kshape", "cpu-memory", "rps"} {
		if other := total[name]; ours.Right < other.Right || ours.AP < other.AP {
			t.Errorf("supervised %+v is behind %s %+v", *ours, name, *other)
		}
	}
	if ours.Causes < 1 {
		t.Errorf("supervised finds %g of the causes on average, want half", ours.Causes/2)
	}
	if ours.Cost > total["all"].Cost/3 {
		t.Errorf("supervised costs %.2f, everything %.2f: want at most a third", ours.Cost, total["all"].Cost)
	}
}
