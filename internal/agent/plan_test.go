package agent

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// After any sequence of plans the kernel's switches are what the plan wants of every
// target.
func TestSwitchesAreThePlan(t *testing.T) {
	r := measureAll(t, "runq_latency")
	var dirs []string
	for i := range 3 {
		dirs = append(dirs, mkdir(t, r.host, unique(fmt.Sprint("plan", i))))
	}
	var gated []*metric.Family
	for _, f := range r.families {
		if f.Gated() {
			gated = append(gated, f)
		}
	}
	path := func(dir string) string { return dir[len(r.host.V2):] }
	eventually(t, "the targets", func() bool {
		targets, err := r.Targets()
		return err == nil && len(targets) >= len(dirs) && slices.ContainsFunc(targets, func(x *metric.Target) bool { return x.Cgroup == path(dirs[2]) })
	})
	random := rand.New(rand.NewPCG(5, 6))
	selectors := []policy.Selector{{}, {Kinds: []metric.TargetKind{metric.Node}}, {Patterns: []string{"redis"}}, {Cgroups: []string{"/" + unique("plan") + "*"}}}
	for _, dir := range dirs {
		selectors = append(selectors, policy.Selector{Targets: []string{path(dir)}})
	}
	for generation := range int64(60) {
		plan := policy.Plan{Generation: generation, Interval: time.Hour}
		for range random.IntN(8) {
			rule := policy.Rule{Origin: "test", Select: selectors[random.IntN(len(selectors))]}
			for range 1 + random.IntN(5) {
				f := gated[random.IntN(len(gated))]
				w := policy.Want{Family: f.Name, Ratio: float64(random.IntN(2))}
				if f.Sampling == metric.Events && random.IntN(2) == 0 {
					w.Ratio = []float64{0.5, 0.1, 0.02}[random.IntN(3)]
				}
				if f.Unsummed() == "" {
					w.Labels = []policy.Labels{nil, {}, {f.Labels[0].Name: {"*"}}, {f.Labels[0].Name: nil}}[random.IntN(4)]
				}
				rule.Wants = append(rule.Wants, w)
			}
			if random.IntN(4) == 0 {
				rule.Until = time.Now().Add(time.Duration(1-2*random.IntN(2)) * time.Hour)
			}
			plan.Rules = append(plan.Rules, rule)
		}
		if err := r.Apply(plan); err != nil {
			t.Fatal(err)
		}
		if err := r.do(func() error { return compareSwitches(r.Agent, &plan) }); err != nil {
			t.Fatalf("plan %+v: %v", plan, err)
		}
	}
}

func compareSwitches(a *Agent, plan *policy.Plan) error {
	for _, x := range a.tree.targets {
		var want, got []string
		wants := plan.For(x.Target, time.Now())
		for _, f := range a.families {
			w, ok := wants[f.Name]
			if !ok || !f.Gated() || !belongs(f, x) {
				continue
			}
			want = append(want, f.Name)
			if m := x.merges[f]; m == nil && w.Labels != nil || m != nil && !m.rule.Equal(w.Labels) {
				return fmt.Errorf("%s: series of %s are summed by %+v, want %v", x.Cgroup, f.Name, m, w.Labels)
			}
			if got := a.probes.Share(x.slot, f) * a.probes.Window(f); math.Abs(got-w.Ratio) > 1e-4 {
				return fmt.Errorf("%s: %s has ratio %v, want %v", x.Cgroup, f.Name, got, w.Ratio)
			}
		}
		for _, f := range a.probes.Switched(x.slot) {
			got = append(got, f.Name)
		}
		if d := cmp.Diff(want, got); d != "" {
			return fmt.Errorf("%s: %s", x.Cgroup, d)
		}
	}
	return nil
}

// A rule by pattern takes hold when the target turns out to be of it, and a rule's
// end takes it away; nobody does anything in between.
func TestPatternRule(t *testing.T) {
	r := measureAll(t, "tcp_accepts")
	shipped, err := policy.Patterns()
	if err != nil {
		t.Fatal(err)
	}
	plan := planOf(t, r.families, "tcp_accepts")
	plan.Patterns = shipped
	plan.Rules = append(plan.Rules, policy.Rule{Select: policy.Selector{Patterns: []string{"redis"}}, Wants: []policy.Want{{Family: "runq_latency", Ratio: 1}}})
	if err := r.Apply(plan); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "redis-server")
	copyFile(t, "/proc/self/exe", binary) // a worker, which waits for commands
	dir := mkdir(t, r.host, unique("pattern"))
	// First, as in many images, something else, under the name of an operator's program: it
	// is looked at again once it executes.
	manager := filepath.Join(t.TempDir(), "manager")
	copyFile(t, "/proc/self/exe", manager)
	w := start(t, dir, manager, 0)
	t.Cleanup(func() { w.end(); rmdir(t, dir) })
	path := dir[len(r.host.V2):]
	find := func(look func(x *target) bool) (found bool) {
		if err := r.do(func() error {
			found = slices.ContainsFunc(r.tree.targets, func(x *target) bool { return x.Cgroup == path && look(x) })
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}
	eventually(t, "a look at the first program", func() bool { return find(func(x *target) bool { return x.Pattern == "operator" }) })
	switched := func() bool {
		return find(func(x *target) bool {
			return slices.ContainsFunc(r.probes.Switched(x.slot), func(f *metric.Family) bool { return f.Name == "runq_latency" })
		})
	}
	if switched() {
		t.Error("runq_latency is on for an operator")
	}
	fmt.Fprintln(w.in, "exec "+binary)
	eventually(t, "the pattern", func() bool { return find(func(x *target) bool { return x.Pattern == "redis" }) })
	if !switched() {
		t.Error("runq_latency is off for redis")
	}
	plan.Rules[1].Until = time.Now().Add(2 * interval)
	if err := r.Apply(plan); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rule's end", func() bool { return !switched() })
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// Targets that do not fit into the queue are asked about later; answers about what is
// gone, or about other patterns, change nothing.
func TestRecognizerIsFull(t *testing.T) {
	a := &Agent{recognizer: newRecognizer(), plan: policy.Plan{Patterns: []policy.Pattern{{Name: "x", Binaries: []string{"x"}}}}}
	a.tree.a = a
	for i := range questions + 10 {
		x := newTarget(&metric.Target{ID: metric.TargetID(fmt.Sprint(i)), Cgroup: "/x"}, probe.RemainderSlot)
		x.group = &group{}
		a.tree.targets = append(a.tree.targets, x)
	}
	now := time.Now()
	a.tree.recognize(now)
	asked := func() (n int) {
		for _, x := range a.tree.targets {
			if x.recognition.asked {
				n++
			}
		}
		return n
	}
	if asked() != questions {
		t.Errorf("%d asked, want %d", asked(), questions)
	}
	go a.recognizer.run(t.Context(), func(string, policy.Needs) []policy.Process { return []policy.Process{{Command: "x"}} })
	first := <-a.recognizer.answers
	if first.pattern == nil || first.pattern.Name != "x" {
		t.Errorf("answer %+v", first)
	}
	a.tree.edition++
	a.tree.recognized(first, now)
	if first.of.Pattern != "" || first.of.recognition.asked {
		t.Errorf("a stale answer was taken: %+v", first.of)
	}
	a.tree.edition--
	a.tree.targets = slices.DeleteFunc(a.tree.targets, func(x *target) bool { return x == first.of })
	a.tree.recognized(first, now)
	if first.of.Pattern != "" {
		t.Error("a target that is gone was named")
	}
	for range len(a.tree.targets) {
		a.tree.recognize(now)
		a.tree.recognized(<-a.recognizer.answers, now)
	}
	for _, x := range a.tree.targets {
		if x.Pattern != "x" || !x.recognition.over {
			t.Errorf("%s: %+v", x.ID, x.recognition)
		}
	}
	empty := newTarget(&metric.Target{Cgroup: "/empty"}, probe.RemainderSlot)
	empty.group = &group{}
	a.tree.targets = append(a.tree.targets, empty)
	for range 2 * recognizeTries {
		a.tree.recognized(answer{of: empty, empty: true}, now)
	}
	if !empty.recognizable() {
		t.Error("an empty cgroup was given up")
	}
	for range 2 * recognizeTries {
		a.tree.recognized(answer{of: empty}, now)
	}
	if empty.recognizable() {
		t.Error("a cgroup of something unknown is looked at for ever")
	}
	a.recognizer.close()
}
