package analysis

import (
	"fmt"
	"math"
)

// Automatic lets ADF choose its lags by AIC.
const Automatic = -1

// A UnitRoot is an augmented Dickey-Fuller test.
type UnitRoot struct {
	Statistic float64
	P         float64    // MacKinnon's approximation
	Lags      int        // lagged differences in the regression
	N         int        // rows of the regression
	Critical  [3]float64 // at 1, 5 and 10 %
}

// Stationary tells whether the test rejects a unit root at 5 %.
func (u UnitRoot) Stationary() bool { return u.Statistic < u.Critical[1] }

// ADF tests x for a unit root with a constant, and a linear trend if asked. lags is the number of lagged differences,
// or Automatic: then AIC chooses among 0 to ceil(12 (T/100)^(1/4)), all on the same rows (statsmodels' default). P
// values and critical values are MacKinnon's (1994, 2010). The error wraps ErrNaN, ErrTooShort or ErrConstant.
func ADF(x []float64, trend bool, lags int) (UnitRoot, error) {
	if at := firstNaN(x); at >= 0 {
		return UnitRoot{}, fmt.Errorf("point %d: %w", at, ErrNaN)
	}
	if len(x) < 4 {
		return UnitRoot{}, fmt.Errorf("%w: %d, need 4", ErrTooShort, len(x))
	}
	if !zscore(make([]float64, len(x)), x) {
		return UnitRoot{}, ErrConstant
	}
	terms := 1
	if trend {
		terms = 2
	}
	most := lags
	if lags < 0 {
		n := float64(len(x))
		most = min(int(math.Ceil(12*math.Pow(n/100, 0.25))), len(x)/2-terms-1)
	}
	// At least one degree of freedom must be left: rows len-1-lags, columns 1 + lags + terms.
	if most < 0 || len(x)-1-most <= 1+most+terms {
		return UnitRoot{}, fmt.Errorf("%w: %d for %d lags", ErrTooShort, len(x), max(most, 0))
	}
	used := most
	if lags < 0 {
		least := math.Inf(1)
		for p := range most + 1 {
			if f := dickeyFuller(x, p, most, trend); f.full && f.aic() < least {
				used, least = p, f.aic()
			}
		}
	}
	f := dickeyFuller(x, used, used, trend)
	if !f.full || f.ssr == 0 {
		return UnitRoot{}, fmt.Errorf("%w in its differences: the regression has no answer", ErrConstant)
	}
	u := UnitRoot{Statistic: f.t(0), Lags: used, N: f.rows, Critical: mackinnonCritical(f.rows, trend)}
	u.P = mackinnonP(u.Statistic, trend)
	return u, nil
}

// dickeyFuller regresses the differences on the level before and p lagged differences, leaving out the first skip of
// them.
func dickeyFuller(x []float64, p, skip int, trend bool) fit {
	d := Difference(x)
	y := d[skip:]
	columns := [][]float64{x[skip : len(x)-1]}
	for lag := 1; lag <= p; lag++ {
		columns = append(columns, d[skip-lag:len(d)-lag])
	}
	columns = append(columns, constant(len(y), 1))
	if trend {
		t := make([]float64, len(y))
		for i := range t {
			t[i] = float64(i + 1)
		}
		columns = append(columns, t)
	}
	return leastSquares(columns, y)
}
