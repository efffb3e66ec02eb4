package analysis

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestAgreeOracle(t *testing.T) {
	var cases []struct {
		A, B        []int
		RI, ARI, MI float64
	}
	load(t, vectors+"agreement.json", &cases)
	for _, tc := range cases {
		got, err := Agree(tc.A, tc.B)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "Rand index", got.Rand, tc.RI, 1e-9)
		near(t, "adjusted Rand index", got.AdjustedRand, tc.ARI, 1e-9)
		near(t, "adjusted mutual information", got.AdjustedMI, tc.MI, 1e-9)
	}
	if _, err := Agree([]int{1}, []int{1, 2}); !errors.Is(err, ErrLength) {
		t.Errorf("error %v, want %v", err, ErrLength)
	}
	if _, err := Agree([]int{1}, []int{1}); !errors.Is(err, ErrTooShort) {
		t.Errorf("error %v, want %v", err, ErrTooShort)
	}
}

func TestSilhouetteErrors(t *testing.T) {
	if _, err := Silhouette(nil, nil); !errors.Is(err, ErrNoSeries) {
		t.Errorf("error %v, want %v", err, ErrNoSeries)
	}
	d := [][]float64{{0, 1}, {1, 0}}
	if _, err := Silhouette(d, []int{0, 2}); err == nil {
		t.Error("label out of range: no error")
	}
	if v, err := Silhouette(d, []int{1, 1}); err != nil || v != -1 {
		t.Errorf("one cluster: %g, %v; want -1", v, err)
	}
}

// cbf is Cylinder-Bell-Funnel (Saito 1994) as the UCR archive defines it.
func cbf(r *rand.Rand, each int) (series [][]float64, labels []int) {
	for i := range 3 * each {
		x := make([]float64, 128)
		a := 16 + r.IntN(17)
		b := a + 32 + r.IntN(65)
		height := 6 + r.NormFloat64()
		for t := range x {
			if t >= a && t <= b {
				ramp := float64(t-a) / float64(b-a)
				x[t] = height * [3]float64{1, ramp, 1 - ramp}[i%3]
			}
			x[t] += r.NormFloat64()
		}
		series, labels = append(series, ZNorm(x)), append(labels, i%3)
	}
	return series, labels
}

// controlCharts is SyntheticControl (Alcock & Manolopoulos 1999): normal, cyclic, trends and steps up and down.
func controlCharts(r *rand.Rand, each int) (series [][]float64, labels []int) {
	between := func(lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }
	for i := range 6 * each {
		x := make([]float64, 60)
		amplitude, period := between(10, 15), between(10, 15)
		slope, step, at := between(.2, .5), between(7.5, 20), between(20, 40)
		for t := range x {
			f := float64(t)
			x[t] = 30 + 2*between(-3, 3)
			switch i % 6 {
			case 1:
				x[t] += amplitude * math.Sin(2*math.Pi*f/period)
			case 2:
				x[t] += slope * f
			case 3:
				x[t] -= slope * f
			case 4, 5:
				if f >= at {
					x[t] += step * float64(9-2*(i%6))
				}
			}
		}
		series, labels = append(series, ZNorm(x)), append(labels, i%6)
	}
	return series, labels
}

// The report's gates: CBF mean RI at least 0.78 and 0.1 above k-means, SyntheticControl at least 0.85.
func TestUCRGates(t *testing.T) {
	const seeds = 10
	gate := func(name string, k int, least float64, make func(*rand.Rand, int) ([][]float64, []int)) (shape, euclid float64) {
		for seed := range uint64(seeds) {
			series, truth := make(rand.New(rand.NewPCG(seed, 77)), 60/k)
			c, err := KShape(series, k, KShapeOptions{Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			a, err := Agree(truth, c.Labels)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Agree(truth, kMeans(series, k, seed))
			if err != nil {
				t.Fatal(err)
			}
			shape, euclid = shape+a.Rand/seeds, euclid+e.Rand/seeds
		}
		t.Logf("%s: k-Shape RI %.4f, k-means RI %.4f", name, shape, euclid)
		if shape < least {
			t.Errorf("%s: mean Rand index %.3f, want at least %.2f", name, shape, least)
		}
		return shape, euclid
	}
	if s, e := gate("CBF", 3, 0.78, cbf); s < e+0.1 {
		t.Errorf("CBF: k-Shape %.3f, k-means %.3f: want 0.1 more", s, e)
	}
	gate("SyntheticControl", 6, 0.85, controlCharts)
}

// kMeans is Lloyd's algorithm from random labels: what k-Shape must beat.
func kMeans(series [][]float64, k int, seed uint64) []int {
	r := rand.New(rand.NewPCG(seed, 5))
	labels := make([]int, len(series))
	for i := range labels {
		labels[i] = r.IntN(k)
	}
	for range 100 {
		centre, size := square(max(k, len(series[0])))[:k], make([]float64, k)
		for i, s := range series {
			size[labels[i]]++
			for t, v := range s {
				centre[labels[i]][t] += v
			}
		}
		moved := false
		for i, s := range series {
			best, least := 0, math.Inf(1)
			for j := range k {
				var d float64
				for t, v := range s {
					e := v - centre[j][t]/max(size[j], 1)
					d += e * e
				}
				if d < least {
					best, least = j, d
				}
			}
			moved = moved || labels[i] != best
			labels[i] = best
		}
		if !moved {
			break
		}
	}
	return labels
}
