package analysis

import "math"

const (
	// weightless is the product of norms below which a pair has no shape to compare (tslearn and kshape-python use
	// the same figure).
	weightless = 1e-9
	// tie is how far below the maximum of the normalised correlation a value still ties with it: the transform's
	// rounding must not decide between two equally good shifts.
	tie = 1e-12
)

// SBD is the shape-based distance of two series of equal length: 1 minus the largest normalised cross-correlation
// over all shifts (Paparrizos & Gravano, SIGMOD 2015, section 3.1), in [0, 2]. shift is how far y moves right to
// lie best on x; the smallest wins a tie. A series of zeros is at distance 1, shift 0. The series are compared as
// they are: normalise them first with ZNorm.
func SBD(x, y []float64) (distance float64, shift int, err error) {
	if err := checkSeries([][]float64{x, y}, 1); err != nil {
		return 0, 0, err
	}
	c := newCorrelator(len(x))
	distance, shift = c.compare(c.spectrum(x), c.spectrum(y), len(x))
	return clamp(distance), shift, nil
}

// clamp keeps what rounding pushed outside of SBD's range out of reports.
func clamp(distance float64) float64 { return min(max(distance, 0), 2) }

// Align returns y moved right by shift (left if negative), zero-filled.
func Align(y []float64, shift int) []float64 {
	out := make([]float64, len(y))
	align(out, y, shift)
	return out
}

func align(dst, y []float64, shift int) {
	clear(dst)
	switch {
	case shift >= len(y) || -shift >= len(y):
	case shift >= 0:
		copy(dst[shift:], y)
	default:
		copy(dst, y[-shift:])
	}
}

// A spectrum is a zero-padded series in the frequency domain, kept because each series is compared many times.
type spectrum struct {
	coeff []complex128
	norm  float64
}

// A correlator compares series of one length. It holds scratch space: one per goroutine.
type correlator struct {
	m       int
	fft     *transform
	product []complex128
	seq     []float64
}

func newCorrelator(m int) *correlator {
	n := fastLength(2*m - 1)
	return &correlator{m: m, fft: newTransform(n), product: make([]complex128, n/2+1), seq: make([]float64, n)}
}

func newCorrelators(workers, m int) []*correlator {
	all := make([]*correlator, workers)
	for i := range all {
		all[i] = newCorrelator(m)
	}
	return all
}

// fastLength is the least even number from n on with no prime factor above 5. The published codes take the next
// power of two, which is up to twice as long; correlations are the same.
func fastLength(n int) int {
	for n += n % 2; ; n += 2 {
		rest := n
		for _, p := range []int{2, 3, 5} {
			for rest%p == 0 {
				rest /= p
			}
		}
		if rest == 1 {
			return n
		}
	}
}

func (c *correlator) spectrum(x []float64) spectrum {
	copy(c.seq, x)
	clear(c.seq[len(x):])
	var ss float64
	for _, v := range x {
		ss += v * v
	}
	return spectrum{coeff: c.fft.forward(make([]complex128, len(c.product)), c.seq), norm: math.Sqrt(ss)}
}

// compare gives distance and shift of y against x, with shifts limited to reach.
func (c *correlator) compare(x, y spectrum, reach int) (distance float64, shift int) {
	norm := x.norm * y.norm
	if norm < weightless {
		return 1, 0
	}
	for i, v := range x.coeff {
		w := y.coeff[i]
		c.product[i] = complex(real(v)*real(w)+imag(v)*imag(w), imag(v)*real(w)-real(v)*imag(w))
	}
	c.fft.backward(c.seq, c.product)
	n := len(c.seq)
	reach = min(reach, c.m-1)
	left, right := c.seq[n-reach:], c.seq[:reach+1]
	best := math.Inf(-1)
	for _, part := range [][]float64{left, right} {
		for _, v := range part {
			if v > best {
				best = v
			}
		}
	}
	scale := norm * float64(n)
	return 1 - best/scale, firstShift(left, right, best-tie*scale)
}

// firstShift is the smallest shift whose correlation reaches least: left holds shifts -len(left) to -1, right those
// from 0 on.
func firstShift(left, right []float64, least float64) int {
	for i, v := range left {
		if v >= least {
			return i - len(left)
		}
	}
	for i, v := range right {
		if v >= least {
			return i
		}
	}
	return 0
}

// Distances is the symmetric n × n matrix of SBD between n series of equal length, with a zero diagonal. workers 0
// means all cores.
func Distances(series [][]float64, workers int) ([][]float64, error) {
	if err := checkSeries(series, 1); err != nil {
		return nil, err
	}
	m := len(series[0])
	return distances(spectra(series, cores(workers)), m, m, cores(workers), nil), nil
}

func spectra(series [][]float64, workers int) []spectrum {
	all := make([]spectrum, len(series))
	scratch := newCorrelators(min(workers, len(series)), len(series[0]))
	parallel(workers, len(series), func(w, i int) { all[i] = scratch[w].spectrum(series[i]) })
	return all
}

func distances(all []spectrum, m, reach, workers int, step func()) [][]float64 {
	n := len(all)
	d := make([][]float64, n)
	for i := range d {
		d[i] = make([]float64, n)
	}
	scratch := newCorrelators(min(workers, n), m)
	parallel(workers, n, func(w, i int) {
		for j := range i {
			v, _ := scratch[w].compare(all[i], all[j], reach)
			d[i][j], d[j][i] = clamp(v), clamp(v)
		}
		if step != nil {
			step()
		}
	})
	return d
}
