package analysis

import (
	"errors"
	"math"
	"testing"
)

func TestADFOracle(t *testing.T) {
	var oracle struct {
		Series [][]float64
		Cases  []struct {
			X        int
			Trend    bool
			Lags     int
			Stat, P  float64
			Used, N  int
			Critical [3]float64
		}
	}
	load(t, vectors+"adf.json", &oracle)
	for _, tc := range oracle.Cases {
		u, err := ADF(oracle.Series[tc.X], tc.Trend, tc.Lags)
		if err != nil {
			t.Fatalf("series %d, trend %v, lags %d: %v", tc.X, tc.Trend, tc.Lags, err)
		}
		if u.Lags != tc.Used || u.N != tc.N {
			t.Errorf("series %d, trend %v, lags %d: used %d, %d rows; want %d, %d", tc.X, tc.Trend, tc.Lags, u.Lags, u.N, tc.Used, tc.N)
		}
		near(t, "statistic", u.Statistic, tc.Stat, 1e-9*max(1, math.Abs(tc.Stat)))
		near(t, "p", u.P, tc.P, 1e-9)
		for i, c := range tc.Critical {
			near(t, "critical value", u.Critical[i], c, 1e-9)
		}
	}
}

func TestGrangerOracle(t *testing.T) {
	var cases []struct {
		Cause, Effect []float64
		Lag           int
		F, P          float64
		Num, Den      int
	}
	load(t, vectors+"granger.json", &cases)
	for _, tc := range cases {
		c, err := Granger(tc.Cause, tc.Effect, tc.Lag)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "F", c.F, tc.F, 1e-9*max(1, tc.F))
		near(t, "p", c.P, tc.P, 1e-9*max(tc.P, 1e-3))
		if c.Num != tc.Num || c.Den != tc.Den {
			t.Errorf("degrees of freedom %d, %d; want %d, %d", c.Num, c.Den, tc.Num, tc.Den)
		}
	}
}

// driven are a cause x, an effect y and the noise of x, as the report's golden values have them.
func driven() (x, y, e1, e2 []float64) {
	u, v := lcg(7), lcg(11)
	x, y = make([]float64, 200), make([]float64, 200)
	e1, e2 = make([]float64, 200), make([]float64, 200)
	for t := range x {
		e1[t], e2[t] = u.next()-0.5, v.next()-0.5
		if t > 0 {
			x[t] = 0.5*x[t-1] + e1[t]
			y[t] = 0.3*y[t-1] + 0.8*x[t-1] + e2[t]
		}
	}
	return x, y, e1, e2
}

func TestGrangerGolden(t *testing.T) {
	g := loadGolden(t).Granger
	x, y, _, _ := driven()
	for i, want := range g.XHead {
		near(t, "x", x[i], want, 1e-9)
		near(t, "y", y[i], g.YHead[i], 1e-9)
	}
	for _, r := range g.Results {
		cause, effect := x, y
		if r.Direction == "y->x" {
			cause, effect = y, x
		}
		c, err := Granger(cause, effect, r.Lag)
		if err != nil {
			t.Fatal(err)
		}
		near(t, r.Direction+" F", c.F, r.F, printed*max(1, r.F/100))
		near(t, r.Direction+" p", c.P/r.P, 1, 1e-6)
		if c.Num != r.DFNum || c.Den != r.DFDen {
			t.Errorf("%s: degrees of freedom %d, %d; want %d, %d", r.Direction, c.Num, c.Den, r.DFNum, r.DFDen)
		}
	}
}

func TestADFGolden(t *testing.T) {
	x, _, e1, e2 := driven()
	walk, trend := make([]float64, 200), make([]float64, 200)
	for i := range walk {
		walk[i] = e1[i]
		if i > 0 {
			walk[i] += walk[i-1]
		}
		trend[i] = 0.05*float64(i) + e2[i]
	}
	series := map[string][]float64{"x": x, "cumsum(e1)": walk, "diff(cumsum(e1))": Difference(walk), "0.05t+e2": trend}
	for _, tc := range loadGolden(t).ADF {
		lags := Automatic
		if tc.LagMode == "fixed 1" {
			lags = 1
		}
		u, err := ADF(series[tc.Series], tc.Regression == "ct", lags)
		if err != nil {
			t.Fatal(err)
		}
		near(t, tc.Series, u.Statistic, tc.Stat, printed)
		near(t, tc.Series+" p", u.P, tc.P, printed)
		if u.Lags != tc.UsedLag || u.N != tc.NObs {
			t.Errorf("%s %s %s: %d lags, %d rows; want %d, %d", tc.Series, tc.Regression, tc.LagMode, u.Lags, u.N, tc.UsedLag, tc.NObs)
		}
	}
}

func TestFalseDiscoveryOracle(t *testing.T) {
	var o struct {
		P, Q   []float64
		Reject []bool
	}
	load(t, vectors+"discovery.json", &o)
	for i, q := range FalseDiscovery(o.P) {
		near(t, "adjusted p", q, o.Q[i], 1e-12)
		if (q <= 0.05) != o.Reject[i] {
			t.Errorf("p %g: rejected %v, want %v", o.P[i], q <= 0.05, o.Reject[i])
		}
	}
}

func TestTimeSeriesErrors(t *testing.T) {
	line := make([]float64, 50)
	for i := range line {
		line[i] = float64(i)
	}
	noise, _, _, _ := driven()
	for name, tc := range map[string]struct {
		x    []float64
		lags int
		want error
	}{
		"nan":      {[]float64{1, 2, math.NaN(), 4, 5}, 0, ErrNaN},
		"short":    {[]float64{1, 3, 2}, 0, ErrTooShort},
		"lags":     {noise[:10], 5, ErrTooShort},
		"constant": {make([]float64, 50), Automatic, ErrConstant},
		"line":     {line, 1, ErrConstant},
	} {
		if _, err := ADF(tc.x, false, tc.lags); !errors.Is(err, tc.want) {
			t.Errorf("ADF of %s: error %v, want %v", name, err, tc.want)
		}
	}
	for name, tc := range map[string]struct {
		x, y []float64
		lag  int
		want error
	}{
		"ragged":   {noise, noise[1:], 1, ErrLength},
		"short":    {noise[:5], noise[1:6], 2, ErrTooShort},
		"lag":      {noise, noise, 0, ErrTooShort},
		"constant": {make([]float64, 200), noise, 1, ErrConstant},
		"itself":   {noise, noise, 1, ErrConstant},
	} {
		if _, err := Granger(tc.x, tc.y, tc.lag); !errors.Is(err, tc.want) {
			t.Errorf("Granger of %s: error %v, want %v", name, err, tc.want)
		}
	}
}
