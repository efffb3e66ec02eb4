package analysis

import (
	"math"
	"slices"
	"strconv"
	"testing"
)

// At k = 6 and 7 clusters run empty, and the vectors' code gave an empty one a series at random, as kshape-python does:
// of all choices of signs and series, those of numpy's default_rng(0).integers(12) lead to its labels, for both k. With
// that in place of our rule, which takes the farthest series, the labels are the same.
func TestKShapeGoldenRefilled(t *testing.T) {
	g := loadGolden(t).KShape
	series := threeShapes()
	s, err := newShapes(series, KShapeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for k := 6; k <= 7; k++ {
		want := g.ByK[strconv.Itoa(k)].Labels
		if !slices.ContainsFunc(signs(series, k)[1:], func(start Start) bool {
			return slices.Equal(s.refilled(start.Centroids, []int{10, 7, 6, 3, 3}), want)
		}) {
			t.Errorf("k %d: no choice of signs gives labels %v", k, want)
		}
	}
}

// refilled gives the labels of a run in which each empty cluster takes the next of the drawn series, or nil when there
// are not as many.
func (s *shapes) refilled(centroids [][]float64, drawn []int) []int {
	n, k := len(s.rows), len(centroids)
	c := Clustering{K: k, Labels: make([]int, n), Distance: make([]float64, n), Shift: make([]int, n), Centroids: slices.Clone(centroids)}
	f := newField(n, k)
	for j, x := range centroids {
		f.centroid[j] = s.scratch[0].spectrum(x)
	}
	s.assign(&c, f)
	for range 100 {
		before, size := slices.Clone(c.Labels), c.sizes()
		s.extract(&c, f)
		for j := range k {
			if size[j] > 0 {
				continue
			}
			if len(drawn) == 0 {
				return nil
			}
			c.Centroids[j], drawn = s.rows[drawn[0]], drawn[1:]
			f.members[j], f.centroid[j] = nil, s.scratch[0].spectrum(c.Centroids[j])
			f.moved[j] += 2 // as far as a centroid can: every distance to it is computed anew
		}
		s.assign(&c, f)
		if slices.Equal(before, c.Labels) {
			return c.Labels
		}
	}
	return nil
}

// signs are the starts that labels i mod k stand for: where a cluster's members are as near to a centroid as to its
// negative, as two in antiphase are, either is an answer, and the vectors' eigensolver chose by rounding. For k up to 4
// there is one.
func signs(series [][]float64, k int) []Start {
	all := []Start{{Labels: make([]int, len(series))}}
	members := make([][][]float64, k)
	for i, x := range series {
		all[0].Labels[i] = i % k
		members[i%k] = append(members[i%k], x)
	}
	centroids := [][][]float64{nil}
	for _, rows := range members {
		c := extractShape(rows)
		less := slices.Clone(c)
		for i := range less {
			less[i] = -less[i]
		}
		var next [][][]float64
		for _, chosen := range centroids {
			next = append(next, append(slices.Clone(chosen), c))
			if math.Abs(reach(rows, c)-reach(rows, less)) < 1e-6 {
				next = append(next, append(slices.Clone(chosen), less))
			}
		}
		centroids = next
	}
	for _, c := range centroids {
		all = append(all, Start{Centroids: c})
	}
	return all
}

// reach is how far all rows are from a centroid, in sum.
func reach(rows [][]float64, c []float64) (total float64) {
	for _, r := range rows {
		var d float64
		for i, v := range r {
			d += (v - c[i]) * (v - c[i])
		}
		total += math.Sqrt(d)
	}
	return total
}
