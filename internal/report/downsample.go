package report

import (
	"encoding/base64"
	"math"
)

const (
	shapePoints  = 240 // of each series in the gallery
	seriesPoints = 600 // of each series of the chosen set, over all runs
)

// extremes keeps, of each of at most points/2 equal parts of x, the lowest and the highest value in the order in which
// they came: what is drawn has every peak, and no line that the whole series would not have. NaN counts as missing; a
// part without a value is one NaN. at are the positions in x.
func extremes(x []float64, points int) (at []int, values []float64) {
	parts := points / 2
	if len(x) <= points {
		for i, v := range x {
			at, values = append(at, i), append(values, v)
		}
		return at, values
	}
	for p := range parts {
		from, to := p*len(x)/parts, (p+1)*len(x)/parts
		low, high := -1, -1
		for i := from; i < to; i++ {
			if math.IsNaN(x[i]) {
				continue
			}
			if low < 0 || x[i] < x[low] {
				low = i
			}
			if high < 0 || x[i] > x[high] {
				high = i
			}
		}
		switch {
		case low < 0:
			at, values = append(at, from), append(values, math.NaN())
		case low == high:
			at, values = append(at, low), append(values, x[low])
		default:
			first, second := min(low, high), max(low, high)
			at, values = append(at, first, second), append(values, x[first], x[second])
		}
	}
	return at, values
}

// shape is extremes on a regular grid, two values a part: shapes that are drawn over each other share one x axis.
func shape(x []float64, points int) []float64 {
	if len(x) <= points {
		return x
	}
	parts := points / 2
	out := make([]float64, 0, points)
	for p := range parts {
		at, v := extremes(x[p*len(x)/parts:(p+1)*len(x)/parts], 2)
		switch {
		case len(v) == 2:
			out = append(out, v...)
		case len(at) == 1:
			out = append(out, v[0], v[0])
		}
	}
	return out
}

// pack writes values as one byte each, in base64: 0 is missing, 1 to 255 go from low to high. A plot of 150 pixels
// cannot show more.
func pack(values []float64, low, high float64) string {
	b := make([]byte, len(values))
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		share := 0.5
		if high > low {
			share = (v - low) / (high - low)
		}
		b[i] = byte(1 + math.Round(254*min(1, max(0, share))))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// bounds are the least and greatest value that is not missing; both 0 if there is none.
func bounds(series ...[]float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, x := range series {
		for _, v := range x {
			if !math.IsNaN(v) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low > high {
		return 0, 0
	}
	return low, high
}
