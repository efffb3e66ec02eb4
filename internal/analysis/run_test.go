package analysis

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// plain is a recording that is quick to analyse: two containers, four runs, one cause.
func plain() Recording {
	series := randomWalks(11, 6, 400)
	r := Recording{Step: 5, SLO: make([]bool, 400), Calls: []Call{{"web", "store"}}}
	for i := range 4 {
		r.Runs = append(r.Runs, Section{Name: "run" + string(rune('a'+i)), From: 100 * i, To: 100 * (i + 1)})
	}
	names := []string{"web/runq_delay", "web/requests", "web/tcp_sent_bytes", "store/runq_delay", "store/user_faults", "store/cpu_usage"}
	for i, x := range series {
		service, family, _ := strings.Cut(names[i], "/")
		r.Series = append(r.Series, Series{Name: names[i], Family: family, Container: service + "-0", Service: service, Pattern: "redis", Values: x})
	}
	cause := r.Series[4].Values
	for t := range r.SLO {
		cause[t] += 6 * math.Max(0, math.Sin(float64(t)/9))
		r.SLO[t] = t%100 > 8 && cause[t-6] > 5
	}
	return r
}

func fast() Options { return Options{MostK: 3, Starts: 1, Candidates: 6, Bootstraps: 10} }

func TestRunEveryAlgorithm(t *testing.T) {
	results, errs := Compare(plain(), fast())
	for i, a := range Algorithms() {
		if errs[i] != nil {
			t.Errorf("%s: %v", a.Name, errs[i])
			continue
		}
		r := results[i]
		if r.Algorithm != a.Name || len(r.Critical) == 0 || r.Score == nil || len(r.Folds) != 4 {
			t.Errorf("%s: %d entries, score %v, %d folds; want some, and 4 folds", a.Name, len(r.Critical), r.Score, len(r.Folds))
		}
		for _, c := range r.Critical {
			if c.Why == "" || c.Family == "" || c.Container == "" || c.Window < 5 {
				t.Errorf("%s: entry says too little: %+v", a.Name, c)
			}
		}
	}
}

func TestRunFindsTheCause(t *testing.T) {
	o := fast()
	for _, name := range []string{"exhaustive", "supervised", "correlation", "mrmr"} {
		o.Algorithm, o.Count = name, 1
		r, err := Run(plain(), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		i := slices.IndexFunc(r.Critical, func(c Critical) bool { return c.Name == "store/user_faults" })
		if i < 0 {
			t.Errorf("%s: the cause is not among %+v", name, r.Critical)
			continue
		}
		if c := r.Critical[i]; math.IsNaN(c.Threshold) || !c.Above || c.Recall < 0.5 {
			t.Errorf("%s: threshold %g, above %v, recall %g", name, c.Threshold, c.Above, c.Recall)
		}
		if r.Score.AP < 2*r.Score.Chance {
			t.Errorf("%s: average precision %.2f on held-out runs, chance %.2f", name, r.Score.AP, r.Score.Chance)
		}
	}
}

// One answer, whatever the number of cores; and watching does not change it.
func TestRunSameOnAnyNumberOfCores(t *testing.T) {
	o := fast()
	o.Workers = 1
	want, errs := Compare(plain(), o, "supervised", "sieve", "exhaustive")
	told, stages := map[string]int{}, map[string]bool{}
	o.Workers, o.Progress = 5, func(stage string, done, total int) {
		if done < told[stage] || done > total {
			t.Errorf("progress of %s: %d of %d after %d", stage, done, total, told[stage])
		}
		told[stage] = done
		if done == total {
			delete(told, stage)
		}
		stages[stage] = true
	}
	got, more := Compare(plain(), o, "supervised", "sieve", "exhaustive")
	if err := errors.Join(append(errs, more...)...); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("1 core and 5 differ (-1 +5):\n%s", d)
	}
	for _, stage := range []string{"clustering", "algorithms", "clustering, turn 2 of 4", "algorithms, turn 4 of 4"} {
		if !stages[stage] || told[stage] > 0 {
			t.Errorf("progress of %q: told %v, then stopped at %d; stages are %v", stage, stages[stage], told[stage], stages)
		}
	}
}

// Without an SLO there is nothing to predict, but shapes are found and representatives named.
func TestRunWithoutSLO(t *testing.T) {
	r := plain()
	r.SLO = nil
	out, err := Run(r, Options{K: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Critical) != 4 || out.Score != nil || !math.IsNaN(out.Critical[0].Threshold) {
		t.Errorf("%d entries, score %v; want 4 and none", len(out.Critical), out.Score)
	}
	for _, s := range out.Containers {
		members := 0
		for _, c := range s.Clusters {
			members += len(c.Members)
			if !slices.Contains(c.Members, c.Representative) || len(c.Centroid) != 400 {
				t.Errorf("container %s: representative %d of %v, centroid of %d", s.Container, c.Representative, c.Members, len(c.Centroid))
			}
		}
		if s.K != 2 || members != 3 {
			t.Errorf("container %s: k %d, %d members; want 2, 3", s.Container, s.K, members)
		}
	}
	want := Summary{Scope: "pattern", Name: "redis", Containers: 2}
	if i := slices.IndexFunc(out.Summaries, func(s Summary) bool { return s.Scope == "pattern" }); i < 0 || out.Summaries[i].Name != want.Name || out.Summaries[i].Containers != want.Containers {
		t.Errorf("summaries %+v; want one of pattern redis over 2 containers", out.Summaries)
	}
	for _, name := range []string{"supervised", "mrmr", "correlation", "exhaustive"} {
		if _, err := Run(r, Options{Algorithm: name}); !errors.Is(err, ErrNoSLO) {
			t.Errorf("%s: error %v, want %v", name, err, ErrNoSLO)
		}
	}
}

func TestRunHoldsOut(t *testing.T) {
	o := fast()
	o.Algorithm, o.HoldOut = "supervised", []string{"runb"}
	r := plain()
	want, err := Run(r, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Folds) != 1 || want.Folds[0].Held[0] != "runb" {
		t.Errorf("folds %+v; want run b alone", want.Folds)
	}
	// What is held out must not reach the selection.
	for i := range r.Series {
		for j := 100; j < 200; j++ {
			r.Series[i].Values[j] *= -3
		}
	}
	got, err := Run(r, o)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Critical, got.Critical); d != "" {
		t.Errorf("the selection changes with held-out rows (-want +got):\n%s", d)
	}
}

func TestRunFilters(t *testing.T) {
	r := plain()
	base := r.Series[0].Values
	with := func(name string, f func(int) float64) {
		x := make([]float64, len(base))
		for i := range x {
			x[i] = f(i)
		}
		r.Series = append(r.Series, Series{Name: name, Container: "web-0", Values: x})
	}
	with("same", func(int) float64 { return 7 })
	with("holes", func(i int) float64 {
		if i%5 == 0 {
			return math.NaN()
		}
		return base[i]
	})
	with("twin", func(i int) float64 { return 2*base[i] + 1 })
	with("akin", func(i int) float64 { return base[i] + 0.2*math.Sin(float64(i*i)) })
	with("counter", func(i int) float64 { return float64(i) + math.Sin(float64(i))/2 })
	out, err := Run(r, Options{Algorithm: "all", Costs: map[string]float64{"twin": 3}})
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, d := range out.Dropped {
		reasons[d.Name] = d.Reason
		if d.Detail == "" {
			t.Errorf("%s: no detail", d.Name)
		}
	}
	if d := cmp.Diff(map[string]string{"same": "constant", "holes": "gaps", "twin": "duplicate"}, reasons); d != "" {
		t.Errorf("dropped (-want +got):\n%s", d)
	}
	if out.CostKnown || !slices.Contains(out.Unknown, "requests") || !strings.Contains(strings.Join(out.Notes, " "), "counters") {
		t.Errorf("cost known %v, unknown %v, notes %q", out.CostKnown, out.Unknown, out.Notes)
	}
	if slices.Contains(out.Unknown, "same") {
		t.Error("the cost of a series that stands still is asked for: no selection can hold it")
	}
}

func TestRunBudget(t *testing.T) {
	o := fast()
	o.Algorithm, o.Budget, o.Costs = "supervised", 1, map[string]float64{}
	r := plain()
	for _, s := range r.Series {
		o.Costs[s.Family] = 0.7
	}
	out, err := Run(r, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Critical) != 1 || out.Cost != 0.7 || !out.CostKnown {
		t.Errorf("%d entries for %g; want 1 for 0.7", len(out.Critical), out.Cost)
	}
	chosen := 0
	for i, p := range out.Front {
		if p.Chosen {
			chosen++
		}
		if i > 0 && (p.Cost < out.Front[i-1].Cost || p.AP <= out.Front[i-1].AP) {
			t.Errorf("front is not one: %+v", out.Front)
		}
	}
	if o.Budget = 0.5; chosen != 1 {
		t.Errorf("%d chosen points on the front, want 1", chosen)
	}
	if _, err := Run(r, o); err == nil || !strings.Contains(err.Error(), "budget") {
		t.Errorf("error %v, want one about the budget", err)
	}
}

// Granger's arrows must point from cause to effect, on planted relations and in both orders of the series.
func TestSieveArrows(t *testing.T) {
	x, y, _, _ := driven()
	for _, reversed := range []bool{false, true} {
		r := Recording{Calls: []Call{{"caller", "callee"}}, Series: []Series{
			{Name: "x", Container: "callee", Values: x}, {Name: "y", Container: "caller", Values: y}}}
		if reversed {
			slices.Reverse(r.Series)
		}
		out, err := Run(r, Options{Algorithm: "sieve"})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Edges) != 1 || out.Edges[0].CauseService != "callee" || out.Edges[0].EffectService != "caller" {
			t.Errorf("reversed %v: edges %+v; want callee to caller", reversed, out.Edges)
		}
	}
	r := plain()
	r.Calls = nil
	if _, err := Run(r, Options{Algorithm: "sieve"}); err == nil || !strings.Contains(err.Error(), "call graph") {
		t.Errorf("error %v, want one about the call graph", err)
	}
}

// What drives each other says nothing about who is the cause; and of series that wander, the steps are compared, not the
// levels: here each step of y follows one of x.
func TestSieveDirections(t *testing.T) {
	_, _, e1, e2 := driven()
	x, y, wander, late := make([]float64, 200), make([]float64, 200), make([]float64, 200), make([]float64, 200)
	for t := 2; t < len(x); t++ {
		x[t] = 0.3*x[t-1] + 0.5*y[t-1] + e1[t]
		y[t] = 0.3*y[t-1] + 0.5*x[t-1] + e2[t]
		wander[t] = wander[t-1] + e1[t]
		late[t] = late[t-1] + 0.3*e1[t-1] + e2[t]
	}
	for name, tc := range map[string]struct {
		caller, callee []float64
		want           int
	}{"both ways": {x, y, 0}, "steps": {wander, late, 1}} {
		out, err := Run(Recording{Calls: []Call{{"caller", "callee"}}, Series: []Series{
			{Name: "x", Container: "caller", Values: tc.caller}, {Name: "y", Container: "callee", Values: tc.callee}}}, Options{Algorithm: "sieve"})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Edges) != tc.want || tc.want > 0 && out.Edges[0].CauseService != "caller" {
			t.Errorf("%s: edges %+v, want %d", name, out.Edges, tc.want)
		}
	}
}

func TestRunTasks(t *testing.T) {
	for _, task := range Tasks() {
		o := fast()
		o.Algorithm, o.Task = "correlation", task
		out, err := Run(plain(), o)
		if err != nil {
			t.Fatalf("%s: %v", task, err)
		}
		if out.Task != task || out.Score == nil {
			t.Errorf("%s: result for %s, score %v", task, out.Task, out.Score)
		}
	}
	r := plain()
	r.Series[1].Family = "other"
	if _, err := Run(r, Options{Task: Placement}); err == nil || !strings.Contains(err.Error(), "request rate") {
		t.Errorf("placement without requests: error %v", err)
	}
}

func TestRunErrors(t *testing.T) {
	change := func(f func(*Recording)) Recording {
		r := plain()
		f(&r)
		return r
	}
	for name, tc := range map[string]struct {
		r    Recording
		o    Options
		want string
	}{
		"nothing":   {Recording{}, Options{}, "no series"},
		"ragged":    {change(func(r *Recording) { r.Series[2].Values = r.Series[2].Values[1:] }), Options{}, "series differ in length"},
		"infinite":  {change(func(r *Recording) { r.Series[2].Values[5] = math.Inf(-1) }), Options{}, "not a finite number"},
		"twice":     {change(func(r *Recording) { r.Series[2].Name = r.Series[1].Name }), Options{}, "occurs twice"},
		"slo":       {change(func(r *Recording) { r.SLO = r.SLO[1:] }), Options{}, "slo: series differ in length"},
		"step":      {change(func(r *Recording) { r.Step = -1 }), Options{}, "step of -1 s"},
		"overlap":   {change(func(r *Recording) { r.Runs[1].From = 50 }), Options{}, "not overlap"},
		"run twice": {change(func(r *Recording) { r.Runs[1].Name = "runa" }), Options{}, "occurs twice"},
		"short":     {Recording{Series: []Series{{Name: "a", Values: []float64{1, 2, 3}}}}, Options{}, "too few points"},
		"constant": {Recording{Series: []Series{{Name: "a", Values: make([]float64, 50)}}}, Options{},
			"no series is left of 1: 0 have gaps, which a longer step may close, and 1 are constant. a: It is 0 throughout."},
		"algorithm":  {plain(), Options{Algorithm: "magic"}, `unknown algorithm "magic": use one of kshape`},
		"task":       {plain(), Options{Task: "luck"}, `task "luck"`},
		"run":        {plain(), Options{HoldOut: []string{"runz"}}, `run "runz"`},
		"all held":   {plain(), Options{HoldOut: []string{"runa", "runb", "runc", "rund"}}, "every run is held out"},
		"three held": {plain(), Options{Algorithm: "mrmr", HoldOut: []string{"runa", "runb", "runc"}}, "needs two runs"},
		"cost":       {plain(), Options{Costs: map[string]float64{"cpu_usage": -1}}, "must not be negative"},
		"one class":  {change(func(r *Recording) { r.SLO = make([]bool, 400) }), Options{Algorithm: "supervised"}, "labels are all the same"},
		"families":   {change(func(r *Recording) { r.Series = r.Series[3:] }), Options{Algorithm: "rps"}, "no series of a request rate"},
	} {
		_, err := Run(tc.r, tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tc.want)
		}
	}
}

// One run alone is judged on its quarters, and the result says that this is weaker.
func TestRunOneRun(t *testing.T) {
	r := plain()
	r.Runs = nil
	o := fast()
	o.Algorithm = "supervised"
	out, err := Run(r, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Folds) != 4 || !strings.Contains(strings.Join(out.Notes, " "), "one run only") {
		t.Errorf("%d folds, notes %q", len(out.Folds), out.Notes)
	}
}

// What the runs happened to have must not stay in the set: resamples seldom choose it.
func TestSupervisedDropsWhatIsNotStable(t *testing.T) {
	o := fast()
	o.Algorithm = "supervised"
	with, err := Run(plain(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Bootstraps = -1
	without, err := Run(plain(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(with.Critical) != 1 || with.Critical[0].Name != "store/user_faults" || with.Critical[0].Stability < 0.7 {
		t.Errorf("entries %+v; want the cause alone, and stable", with.Critical)
	}
	if len(without.Critical) < len(with.Critical) || without.Critical[0].Stability != 0 {
		t.Errorf("without resamples: entries %+v", without.Critical)
	}
}

// A baseline that asks for a family takes what stands for it where it was dropped as a duplicate; correlation passes
// over a level that stands still in the rows that it learns from.
func TestBaselinesTakeTwins(t *testing.T) {
	r := plain()
	twin, still := r.Series[1], r.Series[1]
	twin.Name, twin.Family, twin.Cost = "web/answers", "answers", "free"
	still.Name, still.Family, still.Values = "web/still", "still", make([]float64, len(twin.Values))
	for i := range still.Values {
		if i%100 < 3 {
			still.Values[i] = 1 // nothing is learnt from the first 30 s of a run
		}
	}
	for i := range r.SLO {
		r.SLO[i] = r.SLO[i] && i%100 > 20
	}
	r.Series = append(r.Series, twin, still)
	o := fast()
	o.Costs = map[string]float64{"runq_delay": 1, "requests": 1, "tcp_sent_bytes": 1, "user_faults": 1, "cpu_usage": 1, "free": 0, "still": 1}
	results, errs := Compare(r, o, "rps", "correlation")
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if c := results[0].Critical; len(c) != 1 || c[0].Name != "web/answers" || !strings.HasPrefix(c[0].Why, "It runs as web/requests does.") {
		t.Errorf("rps takes %+v, want the twin of web/requests", c)
	}
}

// What costs next to nothing is not weighed against prediction; what costs something is.
func TestChooseMindsNoGrain(t *testing.T) {
	worse := trial{series: []int{1}, mean: .88, cost: .0001, ap: []float64{.8, .96}}
	better := trial{series: []int{2}, mean: .90, cost: .0009, ap: []float64{.86, .94}}
	for grain, want := range map[float64]int{0: 1, .001: 2, .0005: 1} {
		if got := choose([]trial{worse, better}, grain).series[0]; got != want {
			t.Errorf("grain %g: series %d, want %d", grain, got, want)
		}
	}
}
