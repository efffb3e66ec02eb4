package analysis

import (
	"math"
	"testing"
)

// A member's curve, moved by its shift, is as far from the centroid as its cluster says.
func TestCurveLiesOnItsCentroid(t *testing.T) {
	r, o := plain(), fast()
	r.Series[2].Values[7] = math.NaN()
	o.HoldOut = []string{"runb", "rund"}
	res, err := Run(r, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range res.Containers {
		for _, c := range sh.Clusters {
			for n, i := range c.Members {
				x, err := Curve(r, o.HoldOut, i)
				if err != nil {
					t.Fatal(err)
				}
				if len(x) != len(c.Centroid) || len(x) != 200 {
					t.Fatalf("%s has %d rows, its centroid %d, want %d", r.Series[i].Name, len(x), len(c.Centroid), 200)
				}
				d, shift, err := SBD(c.Centroid, x)
				if err != nil || shift != c.Shift[n] || math.Abs(d-c.Distance[n]) > 1e-9 {
					t.Errorf("%s: distance %g at shift %d (%v), its cluster says %g at %d", r.Series[i].Name, d, shift, err, c.Distance[n], c.Shift[n])
				}
			}
		}
	}
}

func TestCurveRefuses(t *testing.T) {
	r := Recording{Series: []Series{{Name: "a", Values: make([]float64, 30)}}, Runs: []Section{{Name: "x", From: 0, To: 31}}}
	for name, series := range map[string]int{"run beyond the rows": 0, "no such series": 1, "negative": -1} {
		if _, err := Curve(r, nil, series); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
