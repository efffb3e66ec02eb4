package analysis

import "gonum.org/v1/gonum/stat/distuv"

// surface is MacKinnon's response surface for the Dickey-Fuller distribution of one series: p is the normal
// probability of a polynomial in the statistic, one below and one above the knee (Journal of Business & Economic
// Statistics 12, 1994), and the critical value is a polynomial in 1/n (Queen's working paper 1227, 2010).
type surface struct {
	least, most, knee float64
	below, above      []float64
	critical          [3][4]float64 // 1, 5, 10 %
}

func withConstant() surface {
	return surface{
		least: -18.83, most: 2.74, knee: -1.61,
		below: []float64{2.1659, 1.4412, 0.038269},
		above: []float64{1.7339, 0.93202, -0.12745, -0.010368},
		critical: [3][4]float64{
			{-3.43035, -6.5393, -16.786, -79.433},
			{-2.86154, -2.8903, -4.234, -40.040},
			{-2.56677, -1.5384, -2.809, 0},
		},
	}
}

func withTrend() surface {
	return surface{
		least: -16.18, most: 0.7, knee: -2.89,
		below: []float64{3.2512, 1.6047, 0.049588},
		above: []float64{2.5261, 0.61654, -0.37956, -0.060285},
		critical: [3][4]float64{
			{-3.95877, -9.0531, -28.428, -134.155},
			{-3.41049, -4.3904, -9.036, -45.374},
			{-3.12705, -2.5856, -3.925, -22.380},
		},
	}
}

func surfaceFor(trend bool) surface {
	if trend {
		return withTrend()
	}
	return withConstant()
}

func mackinnonP(statistic float64, trend bool) float64 {
	s := surfaceFor(trend)
	switch {
	case statistic > s.most:
		return 1
	case statistic < s.least:
		return 0
	case statistic <= s.knee:
		return distuv.UnitNormal.CDF(polynomial(s.below, statistic))
	}
	return distuv.UnitNormal.CDF(polynomial(s.above, statistic))
}

func mackinnonCritical(n int, trend bool) (c [3]float64) {
	for i, b := range surfaceFor(trend).critical {
		c[i] = polynomial(b[:], 1/float64(n))
	}
	return c
}

func polynomial(c []float64, x float64) (v float64) {
	for i := len(c) - 1; i >= 0; i-- {
		v = v*x + c[i]
	}
	return v
}
