package analysis

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
)

// A Logistic is a fitted logistic regression: the odds' logarithm is Bias plus the weighted features.
type Logistic struct {
	Weights []float64
	Bias    float64
}

// FitLogistic minimises the summed log-loss of y given the columns (p features of n rows) plus penalty/2 times the
// squared weights; the bias is free. It is Newton's method with conjugate gradients for the step (Lin, Weng & Keerthi
// 2008), which does not form the p × p Hessian. The error wraps ErrNoSeries, ErrLength, ErrNaN or ErrOneClass.
func FitLogistic(columns [][]float64, y []bool, penalty float64) (Logistic, error) {
	if err := checkSeries(columns, 2); err != nil {
		return Logistic{}, err
	}
	if len(y) != len(columns[0]) {
		return Logistic{}, fmt.Errorf("%d labels for %d rows: %w", len(y), len(columns[0]), ErrLength)
	}
	if !(penalty > 0) {
		return Logistic{}, fmt.Errorf("penalty %g: it must be positive, or weights run away where classes separate", penalty)
	}
	return fitLogistic(columns, y, penalty, 1e-10)
}

// fitLogistic is FitLogistic without its checks; precise is the gradient left, relative to that at the start.
func fitLogistic(columns [][]float64, y []bool, penalty, precise float64) (Logistic, error) {
	target, err := indicator(y)
	if err != nil {
		return Logistic{}, err
	}
	s := newNewton(columns, target, penalty)
	loss := s.evaluate(s.at)
	goal := precise * math.Sqrt(dot(s.gradient, s.gradient))
	for range 100 {
		if math.Sqrt(dot(s.gradient, s.gradient)) <= goal {
			break
		}
		step := s.direction()
		slope, size := dot(step, s.gradient), 1.0
		next := make([]float64, len(s.at))
		for {
			for j := range next {
				next[j] = s.at[j] + size*step[j]
			}
			l := s.evaluate(next)
			if l <= loss+1e-4*size*slope || size < 1e-10 {
				loss = l
				break
			}
			size /= 2
		}
		s.at = next
		if size < 1e-10 {
			break // rounding: no step makes it better
		}
	}
	p := len(columns)
	return Logistic{Weights: s.at[:p:p], Bias: s.at[p]}, nil
}

// Predict gives the probability of each row.
func (l Logistic) Predict(columns [][]float64) []float64 {
	out := constant(len(columns[0]), l.Bias)
	for j, c := range columns {
		for i, v := range c {
			out[i] += l.Weights[j] * v
		}
	}
	for i, v := range out {
		out[i] = 1 / (1 + math.Exp(-v))
	}
	return out
}

// newton is the state of one fit. The last coordinate is the bias.
type newton struct {
	columns      [][]float64
	target       []float64
	penalty      float64
	at, gradient []float64
	curvature    []float64 // p(1-p) of each row
	row          []float64 // scratch
}

func newNewton(columns [][]float64, target []float64, penalty float64) *newton {
	n, p := len(target), len(columns)
	return &newton{columns: columns, target: target, penalty: penalty, at: make([]float64, p+1), gradient: make([]float64, p+1),
		curvature: make([]float64, n), row: make([]float64, n)}
}

// evaluate gives the loss at w and leaves gradient and curvature there.
func (s *newton) evaluate(w []float64) float64 {
	p := len(s.columns)
	s.multiply(w)
	var loss float64
	product := 1.0
	for i, z := range s.row {
		// log(1 + exp z) without overflow; the logarithms of 32 rows, each of at most 2, are taken at once.
		e := math.Exp(-math.Abs(z))
		loss += max(z, 0) - s.target[i]*z
		if product *= 1 + e; i%32 == 31 || i == len(s.row)-1 {
			loss += math.Log(product)
			product = 1
		}
		prob := 1 / (1 + e)
		s.curvature[i] = prob * (1 - prob)
		if z < 0 {
			prob = 1 - prob
		}
		s.row[i] = prob - s.target[i]
	}
	s.transpose(s.gradient)
	for j, v := range w[:p] {
		loss += s.penalty / 2 * v * v
		s.gradient[j] += s.penalty * v
	}
	return loss
}

func (s *newton) multiply(w []float64) {
	p := len(s.columns)
	for i := range s.row {
		s.row[i] = w[p]
	}
	for j, c := range s.columns {
		floats.AddScaled(s.row, w[j], c)
	}
}

func (s *newton) transpose(out []float64) {
	for j, c := range s.columns {
		out[j] = floats.Dot(c, s.row)
	}
	out[len(s.columns)] = sum(s.row)
}

// direction solves Hessian · step = -gradient by conjugate gradients.
func (s *newton) direction() []float64 {
	p := len(s.columns)
	step, product := make([]float64, p+1), make([]float64, p+1)
	rest, along := make([]float64, p+1), make([]float64, p+1)
	for j, g := range s.gradient {
		rest[j], along[j] = -g, -g
	}
	rr := dot(rest, rest)
	goal := rr * min(0.01, math.Sqrt(rr))
	for range 2 * (p + 1) {
		s.multiply(along)
		for i := range s.row {
			s.row[i] *= s.curvature[i]
		}
		s.transpose(product)
		for j := range p {
			product[j] += s.penalty * along[j]
		}
		bend := dot(along, product)
		if bend <= 0 {
			break
		}
		a := rr / bend
		for j := range step {
			step[j] += a * along[j]
			rest[j] -= a * product[j]
		}
		next := dot(rest, rest)
		if next <= goal*1e-2 || next == 0 {
			break
		}
		for j := range along {
			along[j] = rest[j] + next/rr*along[j]
		}
		rr = next
	}
	return step
}
