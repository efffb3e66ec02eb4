package analysis

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

const (
	leastCoverage = 0.9    // share of rows with a value below which a series is thrown out
	twin          = 0.9999 // correlation at which two series of a container are one
	// leastSpread is the least variance of a series scaled to 0 to 1. Sieve's 0.002 would throw out what bursts in one
	// row of a thousand, which may be the trouble that is looked for.
	leastSpread = 1e-4
)

// learnable are the rows of the runs that may be learnt from, put end to end, for the series that passed the filter.
type learnable struct {
	kept    []int       // series of the recording
	values  [][]float64 // by position in kept: rows without gaps, counters as differences
	dropped []Drop
}

// prepare makes a series fit for features and shapes: what never falls within a run is a counter of an unknown source
// and becomes its increase per row, and missing values are held within their run (those at its start are taken from the
// first after).
func prepare(s Series, runs []Section) (x []float64, counter bool) {
	x = slices.Clone(s.Values)
	counter = true
	rises := 0
	for _, run := range runs {
		part := x[run.From:run.To]
		hold(part)
		for i := 1; i < len(part); i++ {
			counter = counter && !(part[i] < part[i-1])
			if part[i] > part[i-1] {
				rises++
			}
		}
	}
	// A gauge that steps up once is no counter.
	if counter = counter && rises > len(x)/4; !counter {
		return x, false
	}
	for _, run := range runs {
		part := x[run.From:run.To]
		for i := len(part) - 1; i > 0; i-- {
			part[i] -= part[i-1]
		}
		if len(part) > 1 {
			part[0] = part[1]
		}
	}
	return x, true
}

// filter throws out series that are constant, have gaps, or say what another of their container says. prepared are
// the values of all series. Of duplicates the cheapest stays, the first on a tie.
func filter(r Recording, prepared [][]float64, runs []Section, price func(int) float64) learnable {
	var l learnable
	rows := make([][]float64, len(r.Series))
	var byPrice []int
	for i, s := range r.Series {
		for _, run := range runs {
			rows[i] = append(rows[i], prepared[i][run.From:run.To]...)
		}
		if reason, detail := fault(s, rows[i], runs); reason != "" {
			l.dropped = append(l.dropped, Drop{Series: i, Name: s.Name, Reason: reason, Detail: detail})
			continue
		}
		byPrice = append(byPrice, i)
	}
	sortBy(byPrice, price)
	seen := map[string][]int{}
	normal := map[int][]float64{}
	for _, i := range byPrice {
		c := r.Series[i].Container
		normal[i] = ZNorm(rows[i])
		n := slices.IndexFunc(seen[c], func(j int) bool {
			return floats.Dot(normal[i], normal[j]) >= twin*float64(len(normal[i])-1)
		})
		if n >= 0 {
			stays := seen[c][n]
			l.dropped = append(l.dropped, Drop{i, r.Series[i].Name, Duplicate, "It runs as " + r.Series[stays].Name + " does, which costs no more.", stays})
			continue
		}
		seen[c] = append(seen[c], i)
		l.kept = append(l.kept, i)
	}
	slices.Sort(l.kept)
	for _, i := range l.kept {
		l.values = append(l.values, rows[i])
	}
	sortBy(l.dropped, func(d Drop) int { return d.Series })
	return l
}

// fault tells why a series cannot be learnt from; x are its prepared rows.
func fault(s Series, x []float64, runs []Section) (reason, detail string) {
	have := 0
	for _, run := range runs {
		for _, v := range s.Values[run.From:run.To] {
			if !math.IsNaN(v) {
				have++
			}
		}
	}
	if cover := float64(have) / float64(len(x)); cover < leastCoverage {
		return "gaps", fmt.Sprintf("Only %.1f %% of its rows have a value; %.0f %% are needed.", 100*cover, 100*leastCoverage)
	}
	if firstNaN(x) >= 0 {
		return "gaps", "A whole run has no value of it."
	}
	lo, hi := slices.Min(x), slices.Max(x)
	if hi-lo <= flat*max(1, math.Abs(lo), math.Abs(hi)) {
		return "constant", fmt.Sprintf("It is %g throughout.", lo)
	}
	if _, std := moments(x); std*std <= leastSpread*(hi-lo)*(hi-lo) {
		return "constant", "It hardly ever moves: scaled to 0 to 1, its variance is below 0.0001."
	}
	return "", ""
}

// hold fills missing values with the last one before, those at the start with the first.
func hold(x []float64) {
	last := math.NaN()
	for i, v := range x {
		if math.IsNaN(v) {
			x[i] = last
		}
		last = x[i]
	}
	if i := slices.IndexFunc(x, func(v float64) bool { return !math.IsNaN(v) }); i > 0 {
		for j := range i {
			x[j] = x[i]
		}
	}
}
