package analysis

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Windows must not reach across the edge of a run, nor features learn their scale from rows held out.
func TestFeature(t *testing.T) {
	x := []float64{1, 2, 3, 6, 6, 9, 100, 200, 300, 600}
	runs := []Section{{Name: "a", To: 6}, {Name: "b", From: 6, To: 10}}
	f := makeFeature(x, 5, Autoscaling, runs, runs[:1])
	want := []float64{1, 1.5, 2, 11. / 3, 5, 7, 100, 150, 200, 1100. / 3}
	if d := cmp.Diff(want, f.level, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Errorf("levels (-want +got):\n%s", d)
	}
	mean, std := moments(want[:6])
	got := f.columns([]row{{at: 5}, {at: 9, start: 6}}, 5)
	near(t, "scaled level", got[0][0], (7-mean)/std, 1e-12)
	near(t, "level of a run not learnt", got[0][1], (want[9]-mean)/std, 1e-12)
	level, slope := f.raw(9, 6, 5)
	near(t, "level", level, want[9], 1e-12)
	near(t, "slope from the start of the run", slope, want[9]-want[6], 1e-12)
}

func TestFeatureOfHeavyTail(t *testing.T) {
	x := make([]float64, 100)
	for i := range x {
		x[i] = 2
	}
	x[50] = 1e6
	run := []Section{{To: 100}}
	f := makeFeature(x, 20, Autoscaling, run, run)
	if level, _ := f.raw(50, 0, 20); f.unit != 2 || level != math.Log1p(5e5) {
		t.Errorf("unit %g, level %g; want the median, and its logarithm", f.unit, level)
	}
	x[3] = -1
	if f := makeFeature(x, 20, Autoscaling, run, run); f.unit != 0 {
		t.Error("a series that goes below 0 has no logarithm")
	}
}

func TestLabels(t *testing.T) {
	const n = 40 // rows of 10 s; the violation is at rows 20 to 22 of the first run
	r := Recording{Step: 10, SLO: make([]bool, n), Runs: []Section{{Name: "a", To: 30}, {Name: "b", From: 30, To: n}}}
	r.SLO[20], r.SLO[21], r.SLO[22] = true, true, true
	rate := make([]float64, n)
	for i := range rate {
		rate[i] = 5 + float64(i%10)/10
	}
	rate[19] = 1000
	r.Series = []Series{{Name: "requests", Values: rate}}
	for task, want := range map[Task]string{
		Autoscaling: "---...........++++++---.------" + "--..------",
		Diagnosis:   "---.................+++......." + "--........",
		Overload:    "---................+---......-" + "--.......-",
		Placement:   "---...........+++++.+++.------" + "--..------",
	} {
		l, err := makeLabels(r, task, r.Runs)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, n)
		for i := range got {
			switch {
			case !l.usable[i]:
				got[i] = '-'
			case l.positive[i]:
				got[i] = '+'
			default:
				got[i] = '.'
			}
		}
		if d := cmp.Diff(want, string(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", task, d)
		}
	}
}

func TestTurns(t *testing.T) {
	runs := []Section{{Name: "a", Workload: "x"}, {Name: "b", Workload: "x"}, {Name: "c", Workload: "y"}, {Name: "d", Workload: "z"}}
	if d := cmp.Diff([][]int{{0, 1}, {2}, {3}}, turnsOf(runs, []int{0, 1, 2, 3}, 5)); d != "" {
		t.Errorf("by workload (-want +got):\n%s", d)
	}
	if d := cmp.Diff([][]int{{0}, {1}}, turnsOf(runs, []int{0, 1}, 5)); d != "" {
		t.Errorf("by run (-want +got):\n%s", d)
	}
	if d := cmp.Diff([][]int{{0, 1, 3}, {2}}, turnsOf(runs, []int{0, 1, 2, 3}, 2)); d != "" {
		t.Errorf("dealt into two (-want +got):\n%s", d)
	}
	if got := turnsOf(runs, []int{2}, 5); got != nil {
		t.Errorf("one run: %v, want none", got)
	}
}

func TestFamilySets(t *testing.T) {
	for family, in := range map[string]bool{"runq_latency": true, "viperprobe_runq_delay_seconds_total": true, "runq": true, "runqueue_length": false, "cpu": false} {
		if got := runQueue.has(Series{Family: family}); got != in {
			t.Errorf("run queue has %s: %v, want %v", family, got, in)
		}
	}
	if !cpuUsage.has(Series{Family: "container_cpu_usage_seconds_total"}) {
		t.Error("cAdvisor's CPU is not found")
	}
}

// What must act at once looks at seconds, not at what a graph shows.
func TestWindowsFollowTheTask(t *testing.T) {
	x := make([]float64, 60)
	for i := 40; i < len(x); i++ {
		x[i] = 1
	}
	run := []Section{{To: len(x)}}
	for task, want := range map[Task]float64{Autoscaling: 5. / 15, Placement: 5. / 15, Diagnosis: 1, Overload: 1} {
		if got := makeFeature(x, 1, task, run, run).level[44]; got != want {
			t.Errorf("%s: level %g five seconds after a step, want %g", task, got, want)
		}
	}
}
