package analysis

import (
	"fmt"
	"slices"
)

// Curve gives one series as clustering saw it: the runs that are not held out end to end, gaps filled, a counter as its
// increases, z-normalised. Moved by its Shift it lies on the Centroid of its cluster. r is one that Run accepts.
func Curve(r Recording, holdOut []string, series int) ([]float64, error) {
	if series < 0 || series >= len(r.Series) {
		return nil, fmt.Errorf("series %d of %d: %w", series, len(r.Series), ErrNoSeries)
	}
	n := len(r.Series[series].Values)
	if len(r.Runs) == 0 {
		r.Runs = []Section{{Name: "all", To: n}}
	}
	if err := r.checkRuns(n); err != nil {
		return nil, err
	}
	x, _ := prepare(r.Series[series], r.Runs)
	var rows []float64
	for _, run := range r.Runs {
		if !slices.Contains(holdOut, run.Name) {
			rows = append(rows, x[run.From:run.To]...)
		}
	}
	return ZNorm(rows), nil
}
