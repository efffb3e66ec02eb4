package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
)

func unique(name string) string { return fmt.Sprintf("vp-%s-%d", name, os.Getpid()) }

// A container that was made while the agent runs is measured from its first
// instruction, to the byte, and is gone from the batches after it has drained.
func TestContainerOfOneBreath(t *testing.T) {
	r := measureAll(t, "default")
	for i := range 20 {
		name := unique("breath" + strconv.Itoa(i))
		dir := mkdir(t, r.host, name)
		n := 100_000 + i
		w := startIn(t, dir)
		if got := w.do("send " + strconv.Itoa(n)); got != strconv.Itoa(n) {
			t.Fatalf("worker sent %s, want %d", got, n)
		}
		w.end()
		rmdir(t, dir)
	}
	var uncounted uint64
	for i := range 20 {
		path := "/" + unique("breath"+strconv.Itoa(i))
		eventually(t, path+" to drain", func() bool { return r.gone(path) })
		if err := r.do(func() error { uncounted = r.probes.Losses().Failed["task"]; return nil }); err != nil {
			t.Fatal(err)
		}
		for _, family := range []string{"tcp_sent_bytes", "tcp_received_bytes"} {
			if got, want := r.sum(path, family), uint64(100_000+i); got != want {
				t.Errorf("%s of %s: %d, want %d", family, path, got, want)
			}
		}
		for family, want := range map[string]uint64{"tcp_accepts": 1, "tcp_connects": 1, "tcp_closes": 2, "tcp_connect_latency": 1} {
			if got := r.sum(path, family); got != want {
				t.Errorf("%s of %s: %d, want %d", family, path, got, want)
			}
		}
		if uncounted > 0 { // storage was busy, before 6.2: said, not hidden
			t.Logf("%d tasks uncounted", uncounted)
			continue
		}
		waits, slices := int64(r.sum(path, "runq_latency")), int64(r.sum(path, "timeslices"))
		if off := waits - slices; slices == 0 || off < -lostHits(slices) || off > lostHits(slices) {
			t.Errorf("%s: runq_latency of %d of %d timeslices", path, waits, slices)
		}
		if r.sum(path, "cpu_time") == 0 {
			t.Errorf("%s: no cpu_time", path)
		}
	}
}

// lostHits is how many of n hits of a tracepoint may be missing: none on a real
// kernel. That of the build machine loses some, a burst of up to 50 at a time
// (docs/decisions.md, 13).
func lostHits(n int64) int64 {
	if os.Getenv("VIPERPROBE_VM") != "" {
		return 0
	}
	return min(n, 50)
}

// What is nested belongs to the target around it.
func TestNestedInherits(t *testing.T) {
	r := measureAll(t, "tcp_sent_bytes")
	outer := mkdir(t, r.host, unique("outer"))
	inner := mkdir(t, r.host, filepath.Join(unique("outer"), "inner"))
	w, x := startIn(t, outer), startIn(t, inner)
	w.do("send 1000")
	x.do("send 234")
	w.end()
	x.end()
	rmdir(t, inner)
	rmdir(t, outer)
	path := "/" + unique("outer")
	eventually(t, path+" to drain", func() bool { return r.gone(path) })
	if got := r.sum(path, "tcp_sent_bytes"); got != 1234 {
		t.Errorf("tcp_sent_bytes %d, want 1234", got)
	}
}

// A restarted agent counts nothing twice, and nothing from before its start.
func TestRestart(t *testing.T) {
	host, err := cgroup.Find("/")
	if err != nil {
		t.Fatal(err)
	}
	path := "/" + unique("restart")
	dir := mkdir(t, host, path)
	w := startIn(t, dir)
	defer func() {
		w.end()
		rmdir(t, dir)
	}()
	w.do("send 1000000")
	for _, n := range []uint64{70_000, 123} {
		r := measureAll(t, "default")
		before := r.count()
		w.do(fmt.Sprint("send ", n))
		eventually(t, "a whole window", func() bool { return r.count() >= before+2 })
		r.stop()
		if got := r.sum(path, "tcp_sent_bytes"); got != n {
			t.Errorf("tcp_sent_bytes %d, want %d", got, n)
		}
		if got := r.sum(path, "tcp_closes"); got != 2 {
			t.Errorf("tcp_closes %d, want 2", got)
		}
		for _, b := range r.batches {
			for _, g := range b.Groups {
				for _, m := range g.Samples {
					if m.Family.Kind == metric.Counter && m.Value > 1<<40 {
						t.Errorf("%s of %s: giant increase %d", m.Family.Name, g.Target.Name(), m.Value)
					}
				}
			}
		}
	}
}

// The last, partial window holds what happened until the end.
func TestStopLosesNothing(t *testing.T) {
	r := measureAll(t, "tcp_sent_bytes")
	path := "/" + unique("stop")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	for range 10 {
		w.do("send 4321")
	}
	r.stop()
	w.end()
	rmdir(t, dir)
	if got := r.sum(path, "tcp_sent_bytes"); got != 43210 {
		t.Errorf("tcp_sent_bytes %d, want 43210", got)
	}
	if last := r.batches[len(r.batches)-1]; !last.Partial {
		t.Error("last batch is not partial")
	}
}

// A plan replaces the one before it, whole, and is in force when Apply returns.
func TestApply(t *testing.T) {
	r := measureAll(t, "tcp_accepts", "tcp_connects")
	path := "/" + unique("apply")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	defer func() {
		w.end()
		rmdir(t, dir)
	}()
	apply := func(names ...string) {
		t.Helper()
		if err := r.Apply(planOf(t, r.families, names...)); err != nil {
			t.Fatal(err)
		}
	}
	w.do("send 1")
	apply("tcp_connects")
	w.do("send 1")
	apply("tcp_accepts", "tcp_connects")
	w.do("send 1")
	r.stop()
	if a, c := r.sum(path, "tcp_accepts"), r.sum(path, "tcp_connects"); a != 2 || c != 3 {
		t.Errorf("%d accepts, %d connects; want 2 and 3", a, c)
	}
	bad := planOf(t, r.families, "tcp_accepts")
	bad.Rules[0].Wants[0].Family = "tcp_acepts"
	if err := r.Apply(bad); err == nil {
		t.Error("plan with an unknown family was applied")
	}
}

// A snapshot family that is switched on late starts from then.
func TestLateFamilyStartsAnew(t *testing.T) {
	r := measureAll(t, "tcp_received_bytes")
	path := "/" + unique("late")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	defer func() {
		w.end()
		rmdir(t, dir)
	}()
	w.do("send 5000")
	before := r.count()
	eventually(t, "a window", func() bool { return r.count() >= before+2 })
	if err := r.Apply(planOf(t, r.families, "tcp_received_bytes", "tcp_sent_bytes")); err != nil {
		t.Fatal(err)
	}
	w.do("send 70")
	r.stop()
	if got := r.sum(path, "tcp_sent_bytes"); got != 70 {
		t.Errorf("tcp_sent_bytes %d, want 70", got)
	}
	if got := r.sum(path, "tcp_received_bytes"); got != 5070 {
		t.Errorf("tcp_received_bytes %d, want 5070", got)
	}
}

// Where BPF cannot be had the file tier goes on alone.
func TestFileTierAlone(t *testing.T) {
	host, err := cgroup.Find("/")
	if err != nil {
		t.Fatal(err)
	}
	families := catalogue.Families()
	refused := errors.New("no object for you")
	l := newLedger()
	a, err := New(Options{Host: host, Families: families, Sinks: []Sink{l},
		Object: func(string) ([]byte, error) { return nil, refused }})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(a.Reason(), refused) {
		t.Errorf("reason %v, want %v", a.Reason(), refused)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(t.Context()) }()
	dir := mkdir(t, host, unique("files"))
	defer rmdir(t, dir)
	if err := a.Apply(planOf(t, families, "all")); err != nil {
		t.Fatal(err)
	}
	path := "/" + unique("files")
	eventually(t, "files of "+path, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.named[path] != nil
	})
}
