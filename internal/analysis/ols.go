package analysis

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// A fit is an ordinary least squares regression with more rows than columns.
type fit struct {
	beta []float64
	ssr  float64    // sum of squared residuals
	r    *mat.Dense // upper triangle of the QR factorisation
	rows int
	full bool // columns are linearly independent
}

// leastSquares regresses y on columns by Householder QR: the normal equations would square the condition number,
// which lagged copies of one series make large. Columns are scaled to unit length first and the answer is scaled back.
func leastSquares(columns [][]float64, y []float64) fit {
	n, p := len(y), len(columns)
	x := mat.NewDense(n, p, nil)
	scale := make([]float64, p)
	for j, c := range columns {
		scale[j] = math.Sqrt(dot(c, c))
		if scale[j] == 0 {
			scale[j] = 1
		}
		for i, v := range c {
			x.Set(i, j, v/scale[j])
		}
	}
	var qr mat.QR
	qr.Factorize(x)
	f := fit{rows: n, full: qr.Cond() < 1e13}
	if !f.full {
		return f
	}
	var beta mat.Dense
	if qr.SolveTo(&beta, false, mat.NewDense(n, 1, y)) != nil {
		f.full = qr.Cond() < 1e13
	}
	for i := range n {
		e := y[i]
		for j := range p {
			e -= x.At(i, j) * beta.At(j, 0)
		}
		f.ssr += e * e
	}
	f.r = new(mat.Dense)
	qr.RTo(f.r)
	for j := range p {
		f.beta = append(f.beta, beta.At(j, 0)/scale[j])
		for i := range j + 1 {
			f.r.Set(i, j, f.r.At(i, j)*scale[j])
		}
	}
	return f
}

// t is the t statistic of coefficient j.
func (f fit) t(j int) float64 {
	p := len(f.beta)
	// Row j of the inverse of R, by back substitution: the variance is its squared length times the residual variance.
	inverse := make([]float64, p)
	var ss float64
	for c := j; c < p; c++ {
		var v float64
		if c == j {
			v = 1
		}
		for k := j; k < c; k++ {
			v -= inverse[k] * f.r.At(k, c)
		}
		inverse[c] = v / f.r.At(c, c)
		ss += inverse[c] * inverse[c]
	}
	return f.beta[j] / math.Sqrt(f.ssr/float64(f.rows-p)*ss)
}

// aic is Akaike's criterion with the Gaussian likelihood, as statsmodels counts it.
func (f fit) aic() float64 {
	n := float64(f.rows)
	return n*(math.Log(2*math.Pi)+math.Log(f.ssr/n)+1) + 2*float64(len(f.beta))
}

func dot(a, b []float64) (s float64) {
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func constant(n int, v float64) []float64 {
	c := make([]float64, n)
	for i := range c {
		c[i] = v
	}
	return c
}
