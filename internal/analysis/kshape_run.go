package analysis

import (
	"math"
	"slices"
)

// run is one k-Shape run from one start.
func (s *shapes) run(k int, start Start, iterations int) Clustering {
	n := len(s.rows)
	c := Clustering{K: k, Labels: slices.Clone(start.Labels), Distance: make([]float64, n), Shift: make([]int, n)}
	f := newField(n, k)
	if start.Centroids != nil {
		c.Labels = make([]int, n)
		for j, x := range start.Centroids {
			c.Centroids = append(c.Centroids, ZNorm(x))
			f.stale[j] = true
		}
		s.assign(&c, f)
	} else {
		c.Centroids = make([][]float64, k)
	}
	best := Clustering{Inertia: math.Inf(1)}
	for !c.Converged && c.Iterations < iterations {
		before := slices.Clone(c.Labels)
		s.extract(&c, f)
		c.Inertia = s.assign(&c, f)
		c.Iterations++
		c.Trace = append(c.Trace, c.Inertia)
		c.Converged = slices.Equal(before, c.Labels)
		full := slices.Min(c.sizes()) > 0
		if full && c.Inertia <= best.Inertia || best.Labels == nil {
			best = c.clone()
			if !full {
				best.Inertia = math.Inf(1)
			}
		}
	}
	best.Trace, best.Iterations, best.Converged = c.Trace, c.Iterations, c.Converged
	return best
}

// A field is what one run knows of every pair of series and centroid. A cluster whose members came to rest, with their
// shifts, has the centroid that it had: nothing about it is computed again, which is most of the later iterations.
type field struct {
	members  [][]placed // of the centroid
	stale    []bool     // the centroid is new
	distance [][]float64
	shift    [][]int
}

// A placed series lies in a cluster with a shift.
type placed struct{ series, shift int }

func newField(n, k int) *field {
	f := &field{members: make([][]placed, k), stale: make([]bool, k), distance: make([][]float64, n), shift: make([][]int, n)}
	for i := range n {
		f.distance[i], f.shift[i] = make([]float64, k), make([]int, k)
	}
	return f
}

func (c Clustering) clone() Clustering {
	c.Labels, c.Distance, c.Shift = slices.Clone(c.Labels), slices.Clone(c.Distance), slices.Clone(c.Shift)
	c.Centroids = slices.Clone(c.Centroids) // centroids are replaced whole, never changed
	return c
}

// extract renews every centroid. Members were aligned to the previous centroid by the assignment, which left their
// shifts; at the start from labels all shifts are 0. (The published codes ask whether the centroid sums to zero, which
// a z-normalised one sometimes does exactly, and then skip the alignment.)
func (s *shapes) extract(c *Clustering, f *field) {
	next := slices.Clone(c.Centroids)
	seeds := c.seeds()
	parallel(s.workers, c.K, func(_, j int) {
		var members []placed
		for i, l := range c.Labels {
			if l == j {
				members = append(members, placed{i, c.Shift[i]})
			}
		}
		if seeds[j] >= 0 {
			members = []placed{{seeds[j], 0}}
		}
		if f.stale[j] = !slices.Equal(members, f.members[j]); !f.stale[j] {
			return
		}
		f.members[j] = members
		var rows [][]float64
		for _, p := range members {
			row := make([]float64, s.m)
			align(row, s.rows[p.series], p.shift)
			zscore(row, row)
			rows = append(rows, row)
		}
		next[j] = extractShape(rows)
	})
	c.Centroids = next
}

// assign gives each series to the nearest centroid, the lowest number on a tie, and returns the inertia.
func (s *shapes) assign(c *Clustering, f *field) float64 {
	centroids := make([]spectrum, c.K)
	parallel(s.workers, c.K, func(w, j int) {
		if f.stale[j] {
			centroids[j] = s.scratch[w].spectrum(c.Centroids[j])
		}
	})
	parallel(s.workers, len(s.rows), func(w, i int) {
		c.Distance[i] = math.Inf(1)
		for j, centroid := range centroids {
			if f.stale[j] {
				f.distance[i][j], f.shift[i][j] = s.scratch[w].compare(centroid, s.spectra[i], s.reach)
			}
			if d := f.distance[i][j]; d < c.Distance[i] {
				c.Labels[i], c.Distance[i], c.Shift[i] = j, d, f.shift[i][j]
			}
		}
	})
	return sum(c.Distance)
}

// seeds gives each empty cluster the series that is farthest from its own centroid, which the next assignment moves
// there: it is at distance 0 of itself. Full clusters get -1. Silently empty clusters are what users of the published
// codes trip over.
func (c Clustering) seeds() []int {
	size, seed := c.sizes(), make([]int, c.K)
	for j := range seed {
		seed[j] = -1
		if size[j] > 0 {
			continue
		}
		far := -1
		for i, l := range c.Labels {
			if size[l] > 1 && (far < 0 || c.Distance[i] > c.Distance[far]) && !slices.Contains(seed[:j], i) {
				far = i
			}
		}
		seed[j] = far
	}
	return seed
}

func (c Clustering) sizes() []int {
	size := make([]int, c.K)
	for _, l := range c.Labels {
		size[l]++
	}
	return size
}

// Representatives gives, for each cluster, the member with the least distance to the centroid plus penalty (nil, or
// one value per series); the first wins a tie. A penalty of 0 is Sieve's rule; one that grows with a series' cost
// prefers the cheaper of two that say the same.
func (c Clustering) Representatives(penalty []float64) []int {
	best := make([]int, c.K)
	least := make([]float64, c.K)
	for j := range best {
		best[j], least[j] = -1, math.Inf(1)
	}
	for i, l := range c.Labels {
		d := c.Distance[i]
		if penalty != nil {
			d += penalty[i]
		}
		if d < least[l] {
			best[l], least[l] = i, d
		}
	}
	return best
}

// Members gives the series of each cluster, in order.
func (c Clustering) Members() [][]int {
	all := make([][]int, c.K)
	for i, l := range c.Labels {
		all[l] = append(all[l], i)
	}
	return all
}
