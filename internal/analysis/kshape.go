package analysis

import (
	"fmt"
	"math"
	"slices"
)

// A Start is where one k-Shape run begins: a cluster per series, or a centroid per cluster, from which the first
// assignment is made. Exactly one is set.
type Start struct {
	Labels    []int       // n values in [0, k)
	Centroids [][]float64 // k × m
}

// KShapeOptions direct KShape. The zero value takes the standard starts on all cores.
type KShapeOptions struct {
	Starts     []Start  // nil: labels i mod k, labels by Names if given, and Random random ones
	Names      []string // of the series; adds a start that groups similar names, as Sieve does
	Random     int      // random starts; 0 means 5
	Seed       uint64
	Iterations int // at most; 0 means 100
	MaxShift   int // in points; 0 means no limit
	Workers    int // 0 means all cores

	step func() // called after the run from each start; nil if nobody watches
}

// A Clustering is what k-Shape found. Slices belong to the caller.
type Clustering struct {
	K          int       // clusters; fewer than asked where there are not so many distinct series
	Labels     []int     // cluster of each series
	Distance   []float64 // SBD of each series to its centroid
	Shift      []int     // how far each series moves right to lie on its centroid
	Centroids  [][]float64
	Inertia    float64   // sum of Distance: what the best start is chosen by
	Trace      []float64 // inertia after each iteration
	Iterations int
	Converged  bool // labels came to rest
}

// KShape clusters n series of equal length m by shape (Paparrizos & Gravano, SIGMOD 2015, algorithm 3). Series are
// z-normalised first. Of several starts the one with the least inertia wins, and within a start the iteration with the
// least. An empty cluster takes over the series that is farthest from its own centroid. The error wraps ErrNoSeries,
// ErrLength, ErrTooShort, ErrNaN, or names a bad k or start.
func KShape(series [][]float64, k int, o KShapeOptions) (Clustering, error) {
	s, err := newShapes(series, o)
	if err != nil {
		return Clustering{}, err
	}
	return s.cluster(k, o)
}

// shapes are series made ready for clustering with any number of clusters.
type shapes struct {
	rows    [][]float64 // z-normalised
	spectra []spectrum
	m       int
	reach   int
	workers int
	scratch []*correlator
}

func newShapes(series [][]float64, o KShapeOptions) (*shapes, error) {
	if err := checkSeries(series, 3); err != nil {
		return nil, err
	}
	s := &shapes{m: len(series[0]), workers: cores(o.Workers), reach: o.MaxShift, rows: make([][]float64, len(series))}
	if s.reach <= 0 {
		s.reach = s.m
	}
	parallel(s.workers, len(series), func(_, i int) { s.rows[i] = ZNorm(series[i]) })
	s.spectra = spectra(s.rows, s.workers)
	s.scratch = newCorrelators(s.workers, s.m)
	return s, nil
}

func (s *shapes) cluster(k int, o KShapeOptions) (Clustering, error) {
	n := len(s.rows)
	if k < 1 || k > n {
		return Clustering{}, fmt.Errorf("%d clusters of %d series: k must be from 1 to %d", k, n, n)
	}
	starts := o.Starts
	if starts == nil {
		k = min(k, s.distinct(k))
		starts = defaultStarts(n, k, o)
	}
	if o.Iterations <= 0 {
		o.Iterations = 100
	}
	var best Clustering
	for i, start := range starts {
		if err := start.check(n, k, s.m); err != nil {
			return Clustering{}, fmt.Errorf("start %d: %w", i, err)
		}
		if c := s.run(k, start, o.Iterations); i == 0 || c.Inertia < best.Inertia-tie {
			best = c
		}
		if o.step != nil {
			o.step()
		}
	}
	return best, nil
}

func (st Start) check(n, k, m int) error {
	if (st.Labels == nil) == (st.Centroids == nil) {
		return fmt.Errorf("give labels or centroids, and not both")
	}
	if st.Centroids != nil {
		if len(st.Centroids) != k {
			return fmt.Errorf("%d centroids for %d clusters", len(st.Centroids), k)
		}
		if len(st.Centroids[0]) != m {
			return fmt.Errorf("centroids: %w", ErrLength)
		}
		return checkSeries(st.Centroids, m)
	}
	if len(st.Labels) != n {
		return fmt.Errorf("%d labels for %d series", len(st.Labels), n)
	}
	for i, l := range st.Labels {
		if l < 0 || l >= k {
			return fmt.Errorf("label %d of series %d is outside of 0 to %d", l, i, k-1)
		}
	}
	return nil
}

// distinct counts series of different shape, up to limit: more clusters than those cannot be filled.
func (s *shapes) distinct(limit int) int {
	var seen [][]float64
	for _, r := range s.rows {
		known := slices.ContainsFunc(seen, func(o []float64) bool {
			for i, v := range r {
				if math.Abs(v-o[i]) > 1e-9 {
					return false
				}
			}
			return true
		})
		if !known {
			if seen = append(seen, r); len(seen) == limit {
				break
			}
		}
	}
	return len(seen)
}
