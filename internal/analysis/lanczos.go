package analysis

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	residual  = 1e-14 // of the eigenvalue: where the top eigenvector has converged
	checkStep = 8     // Lanczos steps between two tests of convergence
)

// topEigenvector returns the unit eigenvector of the largest eigenvalue of the symmetric matrix that multiply applies, as
// the limit of power iteration from start: where the largest eigenvalues are equal and every direction in their space
// is an answer, this one is the projection of start, so that rounding does not choose. It is found by the Lanczos
// process with full reorthogonalisation (Golub & Van Loan, section 10.1), in far fewer products. start is modified.
func topEigenvector(multiply func(dst, v []float64), start []float64) []float64 {
	n := len(start)
	if norm := floats.Norm(start, 2); norm > 0 {
		floats.Scale(1/norm, start)
	}
	basis := [][]float64{start}
	var alpha, beta []float64
	w := make([]float64, n)
	for {
		v := basis[len(basis)-1]
		multiply(w, v)
		alpha = append(alpha, floats.Dot(w, v))
		// Twice is enough to keep the basis orthogonal to rounding.
		for range 2 {
			for _, b := range basis {
				floats.AddScaled(w, -floats.Dot(w, b), b)
			}
		}
		b := floats.Norm(w, 2)
		k := len(alpha)
		last := k == n || b <= residual*math.Abs(floats.Max(alpha))
		if last || k%checkStep == 0 {
			value, ritz := tridiagonalTop(alpha, beta)
			if last || math.Abs(b*ritz[k-1]) <= residual*math.Abs(value) {
				return combine(basis, ritz)
			}
		}
		beta = append(beta, b)
		basis = append(basis, floats.ScaleTo(make([]float64, n), 1/b, w))
	}
}

// tridiagonalTop is the largest eigenvalue, with its vector, of the symmetric tridiagonal matrix.
func tridiagonalTop(diagonal, off []float64) (float64, []float64) {
	k := len(diagonal)
	t := mat.NewSymDense(k, nil)
	for i, v := range diagonal {
		t.SetSym(i, i, v)
		if i+1 < k {
			t.SetSym(i, i+1, off[i])
		}
	}
	var eig mat.EigenSym
	eig.Factorize(t, true)
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	return eig.Values(nil)[k-1], mat.Col(nil, k-1, &vectors)
}

func combine(basis [][]float64, weight []float64) []float64 {
	out := make([]float64, len(basis[0]))
	for i, w := range weight {
		floats.AddScaled(out, w, basis[i])
	}
	return out
}
