package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Every length that series can have: the transform is gonum's, and back again.
func TestTransform(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := 2; n <= 4800; n = fastLength(n + 1) {
		f, want := newTransform(n), fourier.NewFFT(n)
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		c := f.forward(make([]complex128, n/2+1), x)
		for k, w := range want.Coefficients(nil, x) {
			if d := c[k] - w; math.Hypot(real(d), imag(d)) > 1e-12*math.Sqrt(float64(n)) {
				t.Fatalf("length %d, coefficient %d: %g, want %g", n, k, c[k], w)
			}
		}
		back := make([]float64, n)
		f.backward(back, c)
		for i, v := range back {
			if math.Abs(v/float64(n)-x[i]) > 1e-13 {
				t.Fatalf("length %d, value %d: %g, want %g", n, i, v/float64(n), x[i])
			}
		}
	}
}
