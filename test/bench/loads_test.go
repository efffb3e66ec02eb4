package main

import (
	"bytes"
	"encoding/xml"
	"testing"
)

// Ranks from tables of the sign test (Conover, Practical Nonparametric Statistics, table A3), from 0.
func TestMedianInterval(t *testing.T) {
	for n, want := range map[int][2]int{1: {0, 0}, 3: {0, 2}, 6: {0, 5}, 7: {0, 6}, 9: {1, 7}, 15: {3, 11}, 25: {7, 17}} {
		if low, high := medianInterval(n); low != want[0] || high != want[1] {
			t.Errorf("%d values: ranks %d to %d, want %v", n, low, high, want)
		}
	}
}

// The change is taken in each round, so that what drifts from round to round does not count.
func TestChangeIsTakenByRound(t *testing.T) {
	if got, want := changeOf([]float64{110, 220, 330}, []float64{100, 200, 300}, percent).percents(), "+10.0 % (+10.0 to +10.0)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The picture is XML, and shows what is beyond its axes as a number.
func TestPicture(t *testing.T) {
	c := &comparison{servers: []string{"redis"}, subjects: []string{"nothing", "one", "two"}, met: map[string]map[cell][]met{}}
	for i, subject := range c.subjects {
		for _, level := range levels {
			c.add(subject, cell{"redis", level}, met{outcome: outcome{Answers: 100 - 30*i, Seconds: 1, Quantile: map[string]float64{"p50": float64(1 + 3*i)}}})
		}
	}
	picture := c.draw()
	if err := xml.Unmarshal(picture, new(any)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">-60<", ">+300<", ">+600<", ">redis<", ">two<"} {
		if !bytes.Contains(picture, []byte(want)) {
			t.Errorf("no %s in it", want)
		}
	}
}
