package analysis

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestResample(t *testing.T) {
	nan := math.NaN()
	for name, tc := range map[string]struct {
		times, values []float64
		n, gap        int
		want          []float64
		coverage      float64
	}{
		"mean, unsorted, edges": {[]float64{1.5, 0, 1, 2, 99, -1}, []float64{3, 1, 1, 5, 7, 7}, 3, 0, []float64{1, 2, 5}, 1},
		"gap filled":            {[]float64{0, 1, 4, 5}, []float64{0, 1, 4, 5}, 6, 0, []float64{0, 1, 2, 3, 4, 5}, 4.0 / 6},
		"gap left":              {[]float64{0, 1, 4, 5}, []float64{0, 1, 4, 5}, 6, 1, []float64{0, 1, nan, nan, 4, 5}, 4.0 / 6},
		"no extrapolation":      {[]float64{1, 2}, []float64{4, 6}, 4, 0, []float64{nan, 4, 6, nan}, 0.5},
		"nan is missing":        {[]float64{0, 1, 2}, []float64{1, nan, 3}, 3, 0, []float64{1, 2, 3}, 2.0 / 3},
		"nothing":               {nil, nil, 2, 0, []float64{nan, nan}, 0},
	} {
		got, coverage, err := Resample(tc.times, tc.values, Grid{Step: 1, N: tc.n}, tc.gap)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(tc.want, got, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-12)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		near(t, name+": coverage", coverage, tc.coverage, 1e-12)
	}
}

// Interpolation must not overshoot: a rate below zero or above what was seen is made up.
func TestResampleStaysWithinNeighbours(t *testing.T) {
	times, values := []float64{0, 1, 2, 6, 7, 8}, []float64{0, 0, 0, 100, 0, 0}
	got, _, err := Resample(times, values, Grid{Step: 1, N: 9}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v < 0 || v > 100 {
			t.Errorf("cell %d: %g is outside of 0 to 100", i, v)
		}
	}
}

func TestResampleErrors(t *testing.T) {
	if _, _, err := Resample([]float64{1}, nil, Grid{Step: 1, N: 1}, 0); !errors.Is(err, ErrLength) {
		t.Errorf("error %v, want %v", err, ErrLength)
	}
	if _, _, err := Resample([]float64{math.NaN()}, []float64{1}, Grid{Step: 1, N: 1}, 0); !errors.Is(err, ErrNaN) {
		t.Errorf("error %v, want %v", err, ErrNaN)
	}
	for _, g := range []Grid{{}, {Step: -1, N: 3}, {Step: 1}, {Step: math.NaN(), N: 3}, {Step: 1, N: 2, Start: math.Inf(1)}} {
		if _, _, err := Resample(nil, nil, g, 0); err == nil {
			t.Errorf("grid %+v: no error", g)
		}
	}
}

func TestRates(t *testing.T) {
	got := Rates([]float64{10, 12, 12, 3, 7}, 2)
	want := []float64{math.NaN(), 1, 0, math.NaN(), 2}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("rates (-want +got):\n%s", d)
	}
}
