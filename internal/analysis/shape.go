package analysis

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// fewMembers is up to how many members their products with each other are worth computing: n²m/2 multiplications, where
// each of some 20 steps without them takes 2nm.
const fewMembers = 96

// extractShape is the centroid of aligned members (Paparrizos & Gravano, algorithm 2): the z-normalised top
// eigenvector of M = (YQ)'(YQ), Y the members as rows and Q the centring matrix. rows are already z-normalised, so
// that YQ = Y. The m × m matrix is never made. Of few members the n × n problem of G = YY' is solved, whose top vector
// u gives the same centroid as Y'u: O(n²m + n³) in place of O(m³); of many, M is applied to vectors as Y'(Yv).
// All-zero rows give a zero centroid.
func extractShape(rows [][]float64) []float64 {
	if len(rows) == 1 {
		return append([]float64(nil), rows[0]...)
	}
	mean := make([]float64, len(rows[0]))
	for _, r := range rows {
		floats.Add(mean, r)
	}
	var c []float64
	if len(rows) <= fewMembers {
		c = topOfFew(rows, mean)
	} else {
		c = topOfMany(rows, mean)
	}
	if flips(rows, c) {
		floats.Scale(-1, c)
	}
	zscore(c, c)
	return c
}

// topOfFew solves the n × n problem. The start is the image of the members' mean.
func topOfFew(rows [][]float64, mean []float64) []float64 {
	n := len(rows)
	gram := square(n)
	for i := range n {
		for j := range i + 1 {
			gram[i][j] = floats.Dot(rows[i], rows[j])
			gram[j][i] = gram[i][j]
		}
	}
	start := make([]float64, n)
	for i, r := range rows {
		start[i] = floats.Dot(r, mean)
	}
	return combine(rows, topEigenvector(product(gram), nudged(start)))
}

// topOfMany solves the m × m problem.
func topOfMany(rows [][]float64, mean []float64) []float64 {
	return topEigenvector(func(dst, v []float64) {
		clear(dst)
		for _, r := range rows {
			floats.AddScaled(dst, floats.Dot(r, v), r)
		}
	}, nudged(mean))
}

// product multiplies vectors by a matrix.
func product(a [][]float64) func(dst, v []float64) {
	return func(dst, v []float64) {
		for i, row := range a {
			dst[i] = floats.Dot(row, v)
		}
	}
}

func square(n int) [][]float64 {
	a := make([][]float64, n)
	flat := make([]float64, n*n)
	for i := range a {
		a[i], flat = flat[:n:n], flat[n:]
	}
	return a
}

// nudged turns the start a little off its direction, always in the same way: where members cancel, as two in
// antiphase do, the mean is exactly at right angles to the answer, and no iteration from it would find that.
func nudged(start []float64) []float64 {
	size := max(floats.Norm(start, math.Inf(1)), 1) * 1e-4
	for i := range start {
		_, f := math.Modf(float64(i+1) * math.Phi)
		start[i] += size * (1 - f)
	}
	return start
}

// flips tells whether members lie nearer to -c than to c: an eigenvector has no sign of its own. The distances of
// all members are summed, as tslearn and kshape-python do; by the first member alone, as the Matlab code does, an odd
// series turns the whole centroid. The first member decides a tie, as between two series in antiphase, which rounding
// would decide otherwise.
func flips(rows [][]float64, c []float64) bool {
	norm := floats.Norm(c, 2)
	if norm == 0 {
		return false
	}
	var plus, minus float64
	for _, r := range rows {
		along := 2 * floats.Dot(r, c) / norm
		rest := floats.Dot(r, r) + 1
		plus += math.Sqrt(max(rest-along, 0))
		minus += math.Sqrt(max(rest+along, 0))
	}
	if math.Abs(plus-minus) <= tie*plus {
		return floats.Dot(rows[0], c) < 0
	}
	return minus < plus
}
