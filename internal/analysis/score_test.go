package analysis

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpearmanOracle(t *testing.T) {
	var cases []struct {
		X, Y []float64
		Rho  float64
	}
	load(t, vectors+"spearman.json", &cases)
	for _, tc := range cases {
		got, err := Spearman(tc.X, tc.Y)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "rho", got, tc.Rho, 1e-12)
	}
	if _, err := Spearman([]float64{1, 1, 1}, []float64{1, 2, 3}); !errors.Is(err, ErrConstant) {
		t.Errorf("error %v, want %v", err, ErrConstant)
	}
}

func TestLogisticOracle(t *testing.T) {
	var o struct {
		X    [][]float64
		Y    []bool
		Fits []struct {
			Penalty, Bias, AP, Brier float64
			Weights                  []float64
		}
	}
	load(t, vectors+"logistic.json", &o)
	columns := make([][]float64, len(o.X[0]))
	for _, row := range o.X {
		for j, v := range row {
			columns[j] = append(columns[j], v)
		}
	}
	for _, tc := range o.Fits {
		m, err := FitLogistic(columns, o.Y, tc.Penalty)
		if err != nil {
			t.Fatal(err)
		}
		for j, w := range tc.Weights {
			near(t, "weight", m.Weights[j], w, 1e-7)
		}
		near(t, "bias", m.Bias, tc.Bias, 1e-7)
		p := m.Predict(columns)
		ap, err := AveragePrecision(p, o.Y)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "average precision", ap, tc.AP, 1e-9)
		b, err := Brier(p, o.Y)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "Brier", b, tc.Brier, 1e-7)
	}
}

func TestLogisticErrors(t *testing.T) {
	x := [][]float64{{1, 2, 3}}
	for name, tc := range map[string]struct {
		x    [][]float64
		y    []bool
		want error
	}{
		"one class": {x, []bool{true, true, true}, ErrOneClass},
		"ragged":    {x, []bool{true}, ErrLength},
		"nan":       {[][]float64{{1, math.NaN(), 2}}, []bool{true, false, true}, ErrNaN},
		"none":      {nil, nil, ErrNoSeries},
	} {
		if _, err := FitLogistic(tc.x, tc.y, 1); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", name, err, tc.want)
		}
	}
	if _, err := FitLogistic(x, []bool{true, false, true}, 0); err == nil {
		t.Error("no penalty: no error")
	}
	// Separable classes and many more features than rows must still come to an end.
	r := rand.New(rand.NewPCG(1, 1))
	wide, y := make([][]float64, 200), make([]bool, 40)
	for i := range y {
		y[i] = i%2 == 0
	}
	for j := range wide {
		wide[j] = make([]float64, 40)
		for i := range wide[j] {
			wide[j][i] = r.NormFloat64()
		}
	}
	m, err := FitLogistic(wide, y, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	if ap, err := AveragePrecision(m.Predict(wide), y); err != nil || ap < 0.999 {
		t.Errorf("average precision %g, %v; want 1", ap, err)
	}
}

func TestAveragePrecisionTies(t *testing.T) {
	got, err := AveragePrecision([]float64{.5, .5, .5, .5}, []bool{true, false, false, false})
	if err != nil || got != 0.25 {
		t.Errorf("equal scores: %g, %v; want the share of positives", got, err)
	}
	if _, err := AveragePrecision([]float64{1, 2}, []bool{false, false}); !errors.Is(err, ErrOneClass) {
		t.Errorf("error %v, want %v", err, ErrOneClass)
	}
}

func TestMutualInformation(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	x, noise, copied := make([]float64, 4000), make([]float64, 4000), make([]float64, 4000)
	for i := range x {
		x[i], noise[i] = r.NormFloat64(), r.NormFloat64()
		copied[i] = math.Exp(x[i])
	}
	same, err := MutualInformation(x, copied)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "monotone copy", same, math.Log(8), 0.01)
	none, err := MutualInformation(x, noise)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "independent", none, 0, 0.01)
}

// mRMR takes the second half of the answer before a copy of the first.
func TestMRMR(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	f := make([][]float64, 4)
	y := make([]bool, 2000)
	for j := range f {
		f[j] = make([]float64, len(y))
	}
	for i := range y {
		a, b := r.NormFloat64(), r.NormFloat64()
		f[0][i], f[1][i], f[2][i], f[3][i] = r.NormFloat64(), a, a+0.1*r.NormFloat64(), b
		y[i] = a+0.8*b > 1
	}
	got, err := MRMR(f, y, 2)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int{1, 3}, got); d != "" {
		t.Errorf("chosen (-want +got):\n%s", d)
	}
	if _, err := MRMR(f, make([]bool, len(y)), 2); !errors.Is(err, ErrOneClass) {
		t.Errorf("error %v, want %v", err, ErrOneClass)
	}
}

func TestCountEvents(t *testing.T) {
	on := func(n int, spans ...span) []bool {
		out := make([]bool, n)
		for _, s := range spans {
			for i := s.from; i < s.to; i++ {
				out[i] = true
			}
		}
		return out
	}
	const n = 360 // rows of 10 s: one hour
	violated := on(n, span{100, 110}, span{112, 115}, span{200, 205})
	for name, tc := range map[string]struct {
		alarm []bool
		want  Events
	}{
		"silent":    {on(n), Events{Episodes: 2, Hours: 1}},
		"in time":   {on(n, span{95, 100}, span{190, 191}), Events{Episodes: 2, Detected: 2, Alarms: 2, True: 2, Hours: 1, Leads: []float64{50, 100}}},
		"no lead":   {on(n, span{99, 101}), Events{Episodes: 2, Alarms: 1, True: 1, Hours: 1}},
		"late":      {on(n, span{103, 120}), Events{Episodes: 2, Late: 1, Hours: 1}},
		"false":     {on(n, span{10, 12}, span{14, 20}, span{300, 301}), Events{Episodes: 2, Alarms: 2, Hours: 1}},
		"too early": {on(n, span{50, 60}, span{69, 70}), Events{Episodes: 2, Alarms: 2, Hours: 1}}, // 310 s ahead is not announced
		"earliest":  {on(n, span{70, 72}), Events{Episodes: 2, Detected: 1, Alarms: 1, True: 1, Hours: 1, Leads: []float64{300}}},
		"together":  {on(n, span{10, 12}, span{17, 20}), Events{Episodes: 2, Alarms: 1, Hours: 1}}, // 50 s apart
		"always on": {on(n, span{0, n}), Events{Episodes: 2, Alarms: 1, Hours: 1}},
	} {
		got := CountEvents(tc.alarm, violated, 10, 20)
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	e := Events{Episodes: 4, Detected: 3, Alarms: 6, True: 3, Hours: 2, Leads: []float64{10, 30, 20}}
	if e.Recall() != 0.75 || e.Precision() != 0.5 || e.FalsePerHour() != 1.5 || e.Lead(0.5) != 20 {
		t.Errorf("recall %g, precision %g, false per hour %g, lead %g", e.Recall(), e.Precision(), e.FalsePerHour(), e.Lead(0.5))
	}
}
