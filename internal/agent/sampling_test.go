package agent

import (
	"math"
	"strconv"
	"syscall"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// fault touches n fresh pages, 1,000 at a time, and tells how many faults it took.
func fault(n int) any {
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return err
	}
	for range n / 1000 {
		b, err := syscall.Mmap(-1, 0, 1000*4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			return err
		}
		_ = syscall.Madvise(b, 15) // MADV_NOHUGEPAGE; a kernel without huge pages refuses
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		if err := syscall.Munmap(b); err != nil {
			return err
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return err
	}
	return after.Minflt - before.Minflt
}

// A sampledWorker is a worker in a cgroup of its own.
type sampledWorker struct {
	*worker
	path string
}

func startSampled(t *testing.T, r *running, name string) sampledWorker {
	t.Helper()
	dir := mkdir(t, r.host, unique(name))
	w := startIn(t, dir)
	t.Cleanup(func() { w.end(); rmdir(t, dir) })
	return sampledWorker{w, dir[len(r.host.V2):]}
}

func (w sampledWorker) want(ratio float64) policy.Rule {
	return policy.Rule{Origin: "test", Select: policy.Selector{Cgroups: []string{w.path}}, Wants: []policy.Want{{Family: "user_faults", Ratio: ratio}}}
}

// measure has n faults taken, and gives the estimate and the truth.
func (w sampledWorker) measure(t *testing.T, r *running, n int, meanwhile func()) (got, want float64) {
	t.Helper()
	before := r.sum(w.path, "user_faults")
	answered := make(chan string, 1)
	go func() { answered <- w.do("fault " + strconv.Itoa(n)) }()
	often := time.NewTicker(5 * time.Millisecond) // a slow machine gets to the faults, too
	defer often.Stop()
	for answer := ""; answer == ""; {
		select {
		case answer = <-answered:
			var err error
			if want, err = strconv.ParseFloat(answer, 64); err != nil {
				t.Fatal(answer)
			}
		case <-often.C:
			meanwhile()
		}
	}
	windows := r.count()
	eventually(t, "the last window", func() bool { return r.count() > windows+1 })
	return float64(r.sum(w.path, "user_faults") - before), want
}

// close fails the test when an estimate is far from the truth: faults that come as
// evenly as a busy machine lets them are met by hundreds of windows.
func (w sampledWorker) close(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	t.Logf("%s: %.0f of %.0f, %+.1f %%", what, got, want, 100*(got/want-1))
	if math.Abs(got/want-1) > tolerance {
		t.Errorf("%s: %.0f for %.0f faults", what, got, want)
	}
}

// Targets that want different shares of one family share its window, and each gets
// an estimate of all its events; the ratio goes with each sample.
func TestSampledTargets(t *testing.T) {
	r := measureAll(t, "page_faults")
	much, little, whole := startSampled(t, r, "much"), startSampled(t, r, "little"), startSampled(t, r, "whole")
	plan := planOf(t, r.families, "page_faults")
	plan.Rules = append(plan.Rules, much.want(0.2), little.want(0.05))
	if err := r.Apply(plan); err != nil {
		t.Fatal(err)
	}
	family := r.byName["user_faults"]
	if err := r.do(func() error {
		if got := r.probes.Window(family); got != 0.2 {
			t.Errorf("window %v, want the largest that is wanted, 0.2", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for w, ratio := range map[sampledWorker]float64{much: 0.2, little: 0.05} {
		got, want := w.measure(t, r, 1_000_000, func() {})
		w.close(t, strconv.FormatFloat(ratio, 'g', -1, 64), got, want, 0.25)
		if told := r.ratio(w.path, "user_faults"); math.Abs(told/ratio-1) > 0.3 {
			t.Errorf("the samples say ratio %v, want about %v", told, ratio)
		}
	}
	plan.Rules = append(plan.Rules, whole.want(1))
	if err := r.Apply(plan); err != nil {
		t.Fatal(err)
	}
	got, want := little.measure(t, r, 300_000, func() {})
	little.close(t, "0.05 with a window that is always open", got, want, 0.1)
	got, want = whole.measure(t, r, 100_000, func() {})
	whole.close(t, "1", got, want, 0.01)
	if told := r.ratio(whole.path, "user_faults"); told != 1 {
		t.Errorf("whole: ratio %v", told)
	}
}

// However often the ratio changes within a window, each event is scaled by the one
// that it was counted under. A plan of 5 ms meets a window as a whole or not at all: of
// 2,000,000 faults under some 400 plans the error is some 5 %, a fifth of what is allowed.
func TestSampledUnderChange(t *testing.T) {
	r := measureAll(t, "page_faults")
	w := startSampled(t, r, "change")
	plans := 0
	got, want := w.measure(t, r, 2_000_000, func() {
		plan := planOf(t, r.families, "page_faults")
		plan.Rules = append(plan.Rules, w.want([]float64{0.5, 1, 0.25}[plans%3]))
		plans++
		if err := r.Apply(plan); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%d plans", plans)
	w.close(t, "estimate", got, want, 0.25)
}

// ratio is that of all samples of a family with a value, by what they stand for.
func (l *ledger) ratio(cgroup, family string) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var looked, stood float64
	for _, b := range l.batches {
		for _, g := range b.Groups {
			for _, m := range g.Samples {
				if g.Target.Cgroup == cgroup && g.Target.Kind != metric.Remainder && m.Family.Name == family {
					looked, stood = looked+float64(m.Value)*m.Ratio, stood+float64(m.Value)
				}
			}
		}
	}
	return looked / stood
}

// What cannot be sampled is refused before anything changes.
func TestUnsampledFamiliesAreRefused(t *testing.T) {
	r := measureAll(t, "page_faults")
	for _, name := range []string{"offcpu_time", "page_faults", "cpu_usage"} {
		plan := planOf(t, r.families, "page_faults")
		plan.Rules[0].Wants = append(plan.Rules[0].Wants, policy.Want{Family: name, Ratio: 0.5})
		if err := r.Apply(plan); err == nil {
			t.Errorf("a half of %s is taken", name)
		}
	}
}
