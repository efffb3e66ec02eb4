package analysis

import (
	"fmt"
	"math"
)

// An Agreement tells how far two clusterings of the same series agree, whatever their numbers are called.
type Agreement struct {
	Rand         float64 // pairs on which they agree, of all pairs
	AdjustedRand float64 // 0 by chance, 1 if equal (Hubert & Arabie 1985)
	AdjustedMI   float64 // the same for mutual information, with the arithmetic mean of entropies (Vinh et al. 2010)
}

// Agree compares two clusterings of n ≥ 2 series.
func Agree(a, b []int) (Agreement, error) {
	n := len(a)
	if len(b) != n {
		return Agreement{}, fmt.Errorf("%d and %d labels: %w", n, len(b), ErrLength)
	}
	if n < 2 {
		return Agreement{}, ErrTooShort
	}
	t := contingency(a, b)
	pairs := func(c int) float64 { return float64(c) * float64(c-1) / 2 }
	var s, rows, cols float64
	for _, c := range t.cell {
		s += pairs(c)
	}
	for _, c := range t.row {
		rows += pairs(c)
	}
	for _, c := range t.col {
		cols += pairs(c)
	}
	all := pairs(n)
	out := Agreement{Rand: (all + 2*s - rows - cols) / all, AdjustedRand: 1, AdjustedMI: t.adjustedMI()}
	if expected := rows * cols / all; (rows+cols)/2 != expected {
		out.AdjustedRand = (s - expected) / ((rows+cols)/2 - expected)
	}
	return out, nil
}

// A table counts the series in each pair of clusters, without the pairs that have none, in order of first appearance:
// a map's order would change the last digits from run to run.
type table struct {
	n        int
	row, col []int
	cell     []int
	at       [][2]int // row and column of each cell
}

func contingency(a, b []int) table {
	t := table{n: len(a)}
	rows, cols, cells := map[int]int{}, map[int]int{}, map[[2]int]int{}
	number := func(m map[int]int, counts *[]int, label int) int {
		i, ok := m[label]
		if !ok {
			i = len(m)
			m[label] = i
			*counts = append(*counts, 0)
		}
		(*counts)[i]++
		return i
	}
	for i := range a {
		key := [2]int{number(rows, &t.row, a[i]), number(cols, &t.col, b[i])}
		c, ok := cells[key]
		if !ok {
			c = len(t.cell)
			cells[key] = c
			t.cell, t.at = append(t.cell, 0), append(t.at, key)
		}
		t.cell[c]++
	}
	return t
}

func (t table) adjustedMI() float64 {
	if len(t.row) == len(t.col) && (len(t.row) == 1 || len(t.row) == t.n) {
		return 1 // both trivial: nothing to tell apart
	}
	n := float64(t.n)
	var mi float64
	for i, c := range t.cell {
		ab := float64(t.row[t.at[i][0]]) * float64(t.col[t.at[i][1]])
		mi += float64(c) / n * math.Log(n*float64(c)/ab)
	}
	expected := t.expectedMI()
	mean := (entropy(t.row, n) + entropy(t.col, n)) / 2
	if mean == expected {
		return 0
	}
	return (mi - expected) / (mean - expected)
}

// entropy is in nats, of counts that sum to n.
func entropy(counts []int, n float64) (h float64) {
	for _, c := range counts {
		if c > 0 {
			p := float64(c) / n
			h -= p * math.Log(p)
		}
	}
	return h
}

// expectedMI is the mean mutual information of two clusterings with these sizes and random members (Vinh, Epps &
// Bailey, JMLR 2010, equation 24).
func (t table) expectedMI() (sum float64) {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	n := t.n
	for _, a := range t.row {
		for _, b := range t.col {
			fixed := lg(a) + lg(b) + lg(n-a) + lg(n-b) - lg(n)
			for c := max(1, a+b-n); c <= min(a, b); c++ {
				weight := math.Exp(fixed - lg(c) - lg(a-c) - lg(b-c) - lg(n-a-b+c))
				sum += weight * float64(c) / float64(n) * math.Log(float64(n)*float64(c)/(float64(a)*float64(b)))
			}
		}
	}
	return sum
}
