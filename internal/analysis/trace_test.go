//go:build oracle

package analysis

import "testing"

// vectors is where `make oracle-analysis` has oracle.py write new ones, of a seed that the committed ones do not have.
const vectors = "../../.cache/vectors/"

// UCR Trace, as test/bench-analysis/trace.py takes it out of the tslearn package. From equal starts, the labels are
// tslearn's but where it stops by inertia before they have come to rest; and the mean Rand index is within 0.06 of one
// of the two that are published (0.711 and 0.828).
func TestTraceOracle(t *testing.T) {
	var o struct {
		X    [][]float64
		Y    []int
		Runs []struct{ Start, Labels []int }
	}
	load(t, vectors+"trace.json", &o)
	var truth, theirs float64
	for _, run := range o.Runs {
		var start Start
		for _, i := range run.Start {
			start.Centroids = append(start.Centroids, o.X[i])
		}
		c, err := KShape(o.X, len(run.Start), KShapeOptions{Starts: []Start{start}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := Agree(o.Y, c.Labels)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Agree(run.Labels, c.Labels)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("start %v: Rand index %.4f with the classes, %.4f with tslearn", run.Start, a.Rand, b.Rand)
		truth, theirs = truth+a.Rand/float64(len(o.Runs)), theirs+b.Rand/float64(len(o.Runs))
	}
	if truth < 0.711-0.06 || truth > 0.828+0.06 {
		t.Errorf("mean Rand index %.4f with the classes, published are 0.711 and 0.828", truth)
	}
	if theirs < 0.95 {
		t.Errorf("mean Rand index %.4f with tslearn's labels, want at least 0.95", theirs)
	}
}
