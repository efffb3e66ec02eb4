package main

import "testing"

// Ranks from tables of the sign test (Conover, Practical Nonparametric Statistics, table A3), from 0.
func TestMedianInterval(t *testing.T) {
	for n, want := range map[int][2]int{1: {0, 0}, 3: {0, 2}, 6: {0, 5}, 7: {0, 6}, 9: {1, 7}, 15: {3, 11}, 25: {7, 17}} {
		if low, high := medianInterval(n); low != want[0] || high != want[1] {
			t.Errorf("%d values: ranks %d to %d, want %v", n, low, high, want)
		}
	}
}

// The change is taken in each round, so that what drifts from round to round does not count.
func TestPaired(t *testing.T) {
	if got, want := paired([]float64{110, 220, 330}, []float64{100, 200, 300}), "+10.0 % (+10.0 to +10.0)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
