package report

import (
	"encoding/base64"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"viperprobe.dev/viperprobe/internal/analysis"
)

var nan = math.NaN()

func TestExtremes(t *testing.T) {
	for _, c := range []struct {
		name   string
		x      []float64
		points int
		at     []int
		want   []float64
	}{
		{"fits", []float64{1, nan, 3}, 4, []int{0, 1, 2}, []float64{1, nan, 3}},
		{"peak and trough in their order", []float64{0, 9, 1, -5, 2, 2, 2, 2}, 4, []int{1, 3, 4}, []float64{9, -5, 2}},
		{"missing part", []float64{nan, nan, nan, nan, 1, 2, 3, 4}, 4, []int{0, 4, 7}, []float64{nan, 1, 4}},
		{"empty", nil, 4, nil, nil},
	} {
		at, got := extremes(c.x, c.points)
		if diff := cmp.Diff(c.want, got, cmpopts.EquateNaNs()) + cmp.Diff(c.at, at); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// Shapes are on one grid, whatever is missing, and keep the extremes.
func TestShape(t *testing.T) {
	x := make([]float64, 1001)
	for i := range x {
		x[i] = math.Sin(float64(i))
	}
	x[500], x[700] = 40, -40
	for i := range 100 {
		x[i] = nan
	}
	got := shape(x, 240)
	if len(got) != 240 || slices.Max(got[24:]) != 40 || slices.Min(got[24:]) != -40 || !math.IsNaN(got[0]) {
		t.Errorf("%d points from %g to %g, the first %g", len(got), slices.Min(got[24:]), slices.Max(got[24:]), got[0])
	}
}

func TestPack(t *testing.T) {
	got, err := base64.StdEncoding.DecodeString(pack([]float64{nan, -1, 0, 1, 7}, -1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte{0, 1, 128, 255, 255}, got); diff != "" {
		t.Error(diff)
	}
	if got := pack([]float64{3, 3}, 3, 3); got != base64.StdEncoding.EncodeToString([]byte{128, 128}) {
		t.Errorf("a flat series is packed as %s", got)
	}
}

func TestSampleHasTheRepresentative(t *testing.T) {
	for n := 1; n < 90; n++ {
		for room := 1; room <= 40; room += 13 {
			for representative := range n {
				c := analysis.Cluster{Representative: representative}
				for i := range n {
					c.Members = append(c.Members, i)
				}
				got := sample(c, room)
				if len(got) != min(n, room) || !slices.Contains(got, representative) || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
					t.Fatalf("%d of %d with %d: %v", room, n, representative, got)
				}
			}
		}
	}
}

func TestMoved(t *testing.T) {
	x := []float64{1, 2, 3}
	for shift, want := range map[int][]float64{0: {1, 2, 3}, 1: {nan, 1, 2}, -2: {3, nan, nan}, 5: {nan, nan, nan}} {
		if diff := cmp.Diff(want, moved(x, shift), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("by %d: %s", shift, diff)
		}
	}
}

// Services stand below those that call them, also where calls go in a circle.
func TestPlace(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	g := graphPlot{Calls: [][2]int{{0, 1}, {1, 2}, {0, 2}, {2, 3}}}
	g.place(names)
	for i, want := range []int{0, 1, 2, 3} {
		if g.Nodes[i].Layer != want {
			t.Errorf("%s is in layer %d, want %d", names[i], g.Nodes[i].Layer, want)
		}
	}
	circle := graphPlot{Calls: [][2]int{{0, 1}, {1, 2}, {2, 0}, {2, 3}}}
	circle.place(names)
	if circle.Nodes[3].Layer != circle.Nodes[2].Layer+1 || circle.Depth > len(names) {
		t.Errorf("a circle is laid out as %+v", circle.Nodes)
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"0": number(0), "1,234,568": number(1234567.8), "−0.0123": number(-.01234), "1e+15": number(1e15), "2.5e−06": number(2.5e-6), "–": number(nan),
		"87\u00a0%": percent(.871), "0.4\u00a0%": percent(.004), "99.6\u00a0%": percent(.996), "100\u00a0%": percent(1), "0\u00a0%": percent(0),
		"52.5\u00a0s": duration(52.5), "15\u00a0min": duration(900), "3\u00a0h": duration(10800),
		"5.79\u00a0ms/s": quantity(.005787, "s/s"), "12\u00a0µs": quantity(1.2e-5, "s"), "3.5\u00a0s": quantity(3.5, "s"), "1.5\u00a0MB": quantity(1.5e6, "By"),
		"71.5\u00a0/s": quantity(71.5, "1/s"), "12.3\u00a0k/s": quantity(12345, "1/s"), "8": quantity(8, "1"), "0.5": quantity(.5, ""), "3\u00a0°C": quantity(3, "°C"),
		"1 run": plural(1, "run", "runs"), "1,000 runs": plural(1000, "run", "runs"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if slug("a/b") == slug("a-b") || slug("a-2fb") == slug("a/b") {
		t.Error("different texts have one id")
	}
}
