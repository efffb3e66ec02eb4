package analysis

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSBDGolden(t *testing.T) {
	for _, tc := range loadGolden(t).SBD {
		d, shift, err := SBD(tc.X, tc.Y)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "distance", d, tc.Dist, 1e-9)
		if slices.Max(tc.X) == 0 {
			continue // a series of zeros has no shift; the vectors' code printed the first index
		}
		if shift != tc.Shift {
			t.Errorf("SBD(%v, %v): shift %d, want %d", tc.X, tc.Y, shift, tc.Shift)
		}
		if d := cmp.Diff(tc.AlignedY, Align(tc.Y, shift)); d != "" {
			t.Errorf("aligned (-want +got):\n%s", d)
		}
	}
}

func TestKShapeGolden(t *testing.T) {
	g := loadGolden(t).KShape
	series := threeShapes()
	for i, head := range g.FirstRows {
		for j, want := range head {
			near(t, "recipe", series[i][j], want, 1e-9)
		}
	}
	d, err := Distances(series, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d {
		for j := range d {
			near(t, "matrix", d[i][j], g.SBD[i][j], printed)
		}
	}
	c, err := KShape(series, 3, KShapeOptions{Starts: []Start{{Labels: g.InitialLabels}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g.FinalLabels, c.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if c.Iterations != g.Iterations || !c.Converged {
		t.Errorf("%d iterations, want %d", c.Iterations, g.Iterations)
	}
	for i, want := range g.Inertia {
		near(t, "inertia", c.Trace[i], want, printed)
	}
	for j := range g.Centroids {
		for i, want := range g.Centroids[j] {
			near(t, "centroid", c.Centroids[j][i], want, printed)
		}
	}
	cyclic, err := KShape(series, 3, KShapeOptions{Starts: []Start{{Labels: []int{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}}}})
	if err != nil {
		t.Fatal(err)
	}
	rep := cyclic.Representatives(nil)
	for j, r := range g.Representatives {
		k, _ := strconv.Atoi(j)
		if rep[k] != r.Representative {
			t.Errorf("representative of cluster %s: %d, want %d", j, rep[k], r.Representative)
		}
	}
	for k := 2; k <= 7; k++ {
		want := g.ByK[strconv.Itoa(k)]
		s, err := Silhouette(d, want.Labels)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "silhouette", s, want.Silhouette, printed)
		if k > 5 {
			continue // clusters run empty: TestKShapeGoldenRefilled
		}
		if !slices.ContainsFunc(signs(series, k), func(start Start) bool {
			c, err := KShape(series, k, KShapeOptions{Starts: []Start{start}})
			if err != nil {
				t.Fatal(err)
			}
			return slices.Equal(c.Labels, want.Labels)
		}) {
			t.Errorf("k %d: no choice of signs gives labels %v", k, want.Labels)
		}
	}
	if c, _, err := ChooseK(series, 0, KShapeOptions{}); err != nil || c.K != 3 {
		t.Errorf("ChooseK: %d clusters, %v; want 3", c.K, err)
	}
}

func randomWalks(seed uint64, n, m int) [][]float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	all := make([][]float64, n)
	for i := range all {
		x := make([]float64, m)
		var v float64
		for t := range x {
			v = 0.9*v + r.NormFloat64()
			x[t] = v + 2*math.Sin(float64(t)/float64(5+i%4*7))
		}
		all[i] = x
	}
	return all
}

func TestSBDProperties(t *testing.T) {
	for seed := range uint64(20) {
		m := 20 + int(seed)*7
		s := randomWalks(seed, 2, m)
		x, y := ZNorm(s[0]), ZNorm(s[1])
		d, shift, err := SBD(x, y)
		if err != nil {
			t.Fatal(err)
		}
		back, _, _ := SBD(y, x)
		near(t, "symmetry", back, d, 1e-14)
		self, none, _ := SBD(x, x)
		near(t, "self", self, 0, 1e-12)
		if none != 0 {
			t.Errorf("a series is shifted by %d against itself", none)
		}
		scaled := slices.Clone(s[1])
		for i := range scaled {
			scaled[i] = 3.5*scaled[i] - 1000
		}
		moved, at, _ := SBD(x, ZNorm(scaled))
		near(t, "scale and offset", moved, d, 1e-11)
		if at != shift {
			t.Errorf("shift %d after scaling, %d before", at, shift)
		}
		best := math.Inf(-1)
		for w := -(m - 1); w < m; w++ {
			var cc float64
			for i := range m {
				if i+w >= 0 && i+w < m {
					cc += x[i+w] * y[i]
				}
			}
			best = max(best, cc)
		}
		near(t, "direct sum", d, 1-best/float64(m-1), 1e-12)
	}
}

func TestSBDShiftedPulse(t *testing.T) {
	x, y := make([]float64, 64), make([]float64, 64)
	copy(x[10:], []float64{1, 3, 2})
	copy(y[40:], []float64{1, 3, 2})
	d, shift, err := SBD(x, y)
	if err != nil || shift != -30 || d > 1e-12 {
		t.Errorf("distance %g, shift %d, %v; want 0, -30", d, shift, err)
	}
}

// The Gram trick must give what the published m × m eigenproblem gives.
func TestExtractShapeBothWays(t *testing.T) {
	for seed := range uint64(10) {
		rows := randomWalks(seed, 9, 30)
		for _, r := range rows {
			zscore(r, r)
		}
		mean := make([]float64, 30)
		for _, r := range rows {
			for i, v := range r {
				mean[i] += v
			}
		}
		few, many := topOfFew(rows, slices.Clone(mean)), topOfMany(rows, mean)
		zscore(few, few)
		zscore(many, many)
		var dot float64
		for i := range few {
			dot += few[i] * many[i]
		}
		near(t, "cosine", math.Abs(dot)/29, 1, 1e-12)
	}
}

func TestKShapeSameOnAnyNumberOfCores(t *testing.T) {
	series := randomWalks(3, 40, 120)
	var want Clustering
	for _, workers := range []int{1, 2, 7} {
		c, err := KShape(series, 5, KShapeOptions{Seed: 9, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if workers == 1 {
			want = c
		} else if d := cmp.Diff(want, c); d != "" {
			t.Errorf("%d workers (-1 +%d):\n%s", workers, workers, d)
		}
	}
}

func TestKShapeInvariance(t *testing.T) {
	series := threeShapes()
	base, err := KShape(series, 3, KShapeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(series))
	changed := make([][]float64, len(series))
	want := make([]int, len(series))
	for i, p := range order {
		changed[i] = make([]float64, len(series[p]))
		for j, v := range series[p] {
			changed[i][j] = float64(i+1)*v + 1e3
		}
		want[i] = base.Labels[p]
	}
	got, err := KShape(changed, 3, KShapeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := Agree(want, got.Labels); a.Rand != 1 {
		t.Errorf("Rand index %g after scaling and reordering, want 1", a.Rand)
	}
}

func TestKShapeEmptyClusters(t *testing.T) {
	series := randomWalks(5, 6, 50)
	c, err := KShape(series, 6, KShapeOptions{Starts: []Start{{Labels: make([]int, 6)}}})
	if err != nil {
		t.Fatal(err)
	}
	for j, m := range c.Members() {
		if len(m) != 1 {
			t.Errorf("cluster %d has %d members, want 1", j, len(m))
		}
	}
	same := [][]float64{series[0], series[0], series[1], series[1]}
	if c, err = KShape(same, 4, KShapeOptions{}); err != nil || c.K != 2 {
		t.Errorf("%d clusters of two distinct series, %v; want 2", c.K, err)
	}
}

// An empty cluster takes the farthest series that is not alone in its cluster, and each takes another.
func TestKShapeSeeds(t *testing.T) {
	c := Clustering{K: 5, Labels: []int{0, 0, 2, 3, 3, 3}, Distance: []float64{.1, .4, .9, .2, .3, .1}}
	if d := cmp.Diff([]int{-1, 1, -1, -1, 4}, c.seeds()); d != "" {
		t.Error(d)
	}
}

func TestKShapeErrors(t *testing.T) {
	ok := []float64{1, 2, 3, 4}
	for name, tc := range map[string]struct {
		series [][]float64
		k      int
		want   error
	}{
		"none":   {nil, 1, ErrNoSeries},
		"nan":    {[][]float64{ok, {1, math.NaN(), 3, 4}}, 2, ErrNaN},
		"inf":    {[][]float64{ok, {1, math.Inf(1), 3, 4}}, 2, ErrNaN},
		"ragged": {[][]float64{ok, {1, 2, 3}}, 2, ErrLength},
		"short":  {[][]float64{{1, 2}}, 1, ErrTooShort},
	} {
		if _, err := KShape(tc.series, tc.k, KShapeOptions{}); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", name, err, tc.want)
		}
	}
	if _, err := KShape([][]float64{ok}, 2, KShapeOptions{}); err == nil {
		t.Error("two clusters of one series: no error")
	}
	for name, st := range map[string]Start{"nothing": {}, "label": {Labels: []int{5, 0}}, "few labels": {Labels: []int{0}}, "ragged": {Centroids: [][]float64{ok, {1}}}} {
		if _, err := KShape([][]float64{ok, ok}, 2, KShapeOptions{Starts: []Start{st}}); err == nil {
			t.Errorf("start %s: no error", name)
		}
	}
}

func TestJaroGolden(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want float64
	}{{"MARTHA", "MARHTA", 0.944444444}, {"DIXON", "DICKSONX", 0.766666667}, {"DWAYNE", "DUANE", 0.822222222}, {"", "A", 0}, {"AB", "CD", 0}} {
		near(t, tc.a, jaro(tc.a, tc.b), tc.want, 1e-9)
	}
	got := labelsByName([]string{"cpu_usage", "memory_rss", "cpu_usages", "memory_rsz"}, 2)
	if d := cmp.Diff([]int{0, 1, 0, 1}, got); d != "" {
		t.Errorf("labels by name (-want +got):\n%s", d)
	}
}

// tslearn aligns without normalising again and stops by inertia; from equal starts the labels are still the same.
func TestTSLearnOracle(t *testing.T) {
	var o struct {
		Series, Distance [][]float64
		Runs             []struct{ Start, Labels []int }
	}
	load(t, vectors+"tslearn.json", &o)
	d, err := Distances(o.Series, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range o.Distance {
		for j, want := range row {
			near(t, "distance", d[i][j], clamp(want), 1e-9)
		}
	}
	for _, run := range o.Runs {
		var start Start
		for _, i := range run.Start {
			start.Centroids = append(start.Centroids, o.Series[i])
		}
		c, err := KShape(o.Series, len(run.Start), KShapeOptions{Starts: []Start{start}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(run.Labels, c.Labels); diff != "" {
			t.Errorf("start %v: labels (-tslearn +ours):\n%s", run.Start, diff)
		}
	}
}

// What assign leaves out rests on this: from one centroid to another, the distance to any series changes by no more than
// the two are apart, with shifts limited or not, and of zeros too.
func TestDistanceMovesWithCentroid(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	largest := 0.0
	for range 2000 {
		m := 3 + r.IntN(60)
		c := newCorrelator(m)
		x, a, b, mix := make([]float64, m), make([]float64, m), make([]float64, m), r.Float64()
		for i := range x {
			x[i], a[i] = r.NormFloat64(), r.NormFloat64()
			b[i] = mix*a[i] + (1-mix)*r.NormFloat64()
		}
		if r.IntN(20) == 0 {
			clear(a)
		}
		x, a, b = ZNorm(x), ZNorm(a), ZNorm(b)
		reach := 1 + r.IntN(m)
		from, _ := c.compare(c.spectrum(a), c.spectrum(x), reach)
		to, _ := c.compare(c.spectrum(b), c.spectrum(x), reach)
		way := apart(a, b)
		if math.Abs(from-to) > way+rounding {
			t.Fatalf("the distance went from %g to %g, the centroid by %g", from, to, way)
		}
		largest = max(largest, math.Abs(from-to)/way)
	}
	if largest < .3 {
		t.Errorf("no distance moved by more than %.2f of the bound: the cases are too tame to break it", largest)
	}
}

// Many members, whose products with each other are not worth making, have the same centroid.
func TestExtractShapeOfMany(t *testing.T) {
	rows := randomWalks(9, fewMembers+30, 50)
	for i := range rows {
		rows[i] = ZNorm(rows[i])
	}
	mean := make([]float64, 50)
	for _, r := range rows {
		for i, v := range r {
			mean[i] += v
		}
	}
	few, many := topOfFew(rows, slices.Clone(mean)), extractShape(rows)
	if flips(rows, few) {
		for i := range few {
			few[i] = -few[i]
		}
	}
	zscore(few, few)
	for i := range few {
		near(t, "centroid", many[i], few[i], 1e-9)
	}
}
