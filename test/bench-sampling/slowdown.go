package main

import (
	"fmt"
	"math"
)

// moments is the mean of many values, and how far they scatter.
type moments struct{ n, mean, squares float64 }

// add takes in a value (Welford).
func (m *moments) add(v float64) {
	m.n++
	off := v - m.mean
	m.mean += off / m.n
	m.squares += off * (v - m.mean)
}

// spread is the standard deviation of a value, deviation that of the mean.
func (m moments) spread() float64    { return math.Sqrt(m.squares / (m.n - 1)) }
func (m moments) deviation() float64 { return m.spread() / math.Sqrt(m.n) }

// String is a share of 1 in percent.
func (m moments) String() string {
	return fmt.Sprintf("%+.2f ± %.2f %%", 100*m.mean, 100*m.deviation())
}

// pairs is how many pairs of runs tell a slow-down.
func (b *bench) pairs() int { return max(2, b.repeats/2) }

// slowdown predicts the error of windows of a closed loop that goes at one rate while its
// window is open and at another while it is closed: the estimate is the first, the truth
// their mean by time.
func (b *bench) slowdown(q question) (m moments, err error) {
	for i := range b.pairs() {
		var ops [2]float64 // with the window closed, open
		for j := range ops {
			open := (i + j) % 2
			if err := b.subject.apply(mode{"windows", float64(open)}, []string{q.family}, q.truth()...); err != nil {
				return m, err
			}
			r, err := start(b.subject.group, q.role, b.limit, 0)
			if err != nil {
				return m, err
			}
			ops[open] = float64(r.Ops)
		}
		m.add(ops[1]/(sampledRatio*ops[1]+(1-sampledRatio)*ops[0]) - 1)
	}
	return m, nil
}
