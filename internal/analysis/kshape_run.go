package analysis

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
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
			f.centroid[j] = s.scratch[0].spectrum(c.Centroids[j])
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
// shifts, has the centroid that it had: nothing about it is computed again. Nor is the distance to a centroid that has
// moved too little to have become the nearest: the correlation at any shift changes by at most the length of the
// difference of the two centroids, both taken to length 1 (Cauchy-Schwarz; the idea is Elkan's, ICML 2003). Both leave
// results as they are, and most of the later iterations out.
type field struct {
	members  [][]placed // of the centroid
	centroid []spectrum
	moved    []float64 // how far the centroid has come since the run began
	distance [][]float64
	shift    [][]int
	seen     [][]float64 // moved of the centroid when the distance was computed
}

// rounding is more than what rounding can do to a distance or to the way of a centroid.
const rounding = 1e-9

// A placed series lies in a cluster with a shift.
type placed struct{ series, shift int }

func newField(n, k int) *field {
	f := &field{members: make([][]placed, k), centroid: make([]spectrum, k), moved: make([]float64, k),
		distance: make([][]float64, n), shift: make([][]int, n), seen: make([][]float64, n)}
	for i := range n {
		f.distance[i], f.shift[i], f.seen[i] = make([]float64, k), make([]int, k), make([]float64, k)
		for j := range k {
			f.distance[i][j], f.seen[i][j] = math.Inf(-1), -1
		}
	}
	return f
}

// least is what a series is at least away from a centroid, and whether it is exactly that.
func (f *field) least(series, centroid int) (float64, bool) {
	way := f.moved[centroid] - f.seen[series][centroid]
	if way == 0 {
		return f.distance[series][centroid], true
	}
	return f.distance[series][centroid] - way - rounding, false
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
	parallel(s.workers, c.K, func(w, j int) {
		var members []placed
		for i, l := range c.Labels {
			if l == j {
				members = append(members, placed{i, c.Shift[i]})
			}
		}
		if seeds[j] >= 0 {
			members = []placed{{seeds[j], 0}}
		}
		if slices.Equal(members, f.members[j]) {
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
		f.centroid[j] = s.scratch[w].spectrum(next[j])
		if last := c.Centroids[j]; last != nil {
			f.moved[j] += apart(last, next[j])
		}
	})
	c.Centroids = next
}

// apart is the length of the difference of two series, both taken to length 1; zeros stay zeros.
func apart(x, y []float64) float64 {
	a, b := 1/max(floats.Norm(x, 2), weightless), 1/max(floats.Norm(y, 2), weightless)
	var ss float64
	for i, v := range x {
		d := a*v - b*y[i]
		ss += d * d
	}
	return math.Sqrt(ss)
}

// assign gives each series to the nearest centroid, the lowest number on a tie, and returns the inertia.
func (s *shapes) assign(c *Clustering, f *field) float64 {
	parallel(s.workers, len(s.rows), func(w, i int) {
		distance := func(j int) float64 {
			if _, exact := f.least(i, j); !exact {
				f.distance[i][j], f.shift[i][j] = s.scratch[w].compare(f.centroid[j], s.spectra[i], s.reach)
				f.seen[i][j] = f.moved[j]
			}
			return f.distance[i][j]
		}
		// The cluster where it is comes first: it is mostly the nearest, and rules the others out.
		own := c.Labels[i]
		c.Distance[i] = distance(own)
		for j := range c.K {
			if least, _ := f.least(i, j); j == own || least > c.Distance[i] {
				continue
			}
			if d := distance(j); d < c.Distance[i] || d == c.Distance[i] && j < c.Labels[i] {
				c.Labels[i], c.Distance[i] = j, d
			}
		}
		c.Shift[i] = f.shift[i][c.Labels[i]]
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
// one value per series); the first wins a tie, and two series alone are equally near. A penalty of 0 is Sieve's rule; one that grows with a series' cost
// prefers the cheaper of two that say the same.
func (c Clustering) Representatives(penalty []float64) []int {
	best := make([]int, c.K)
	least := make([]float64, c.K)
	for j := range best {
		best[j] = -1
	}
	for i, l := range c.Labels {
		d := c.Distance[i]
		if penalty != nil {
			d += penalty[i]
		}
		if best[l] < 0 || d < least[l]-tie {
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
