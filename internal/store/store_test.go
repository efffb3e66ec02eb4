package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// The families of the tests: one of each kind.
func families() (sent, working, runq, disk *metric.Family) {
	sent = &metric.Family{Name: "tcp_sent", Kind: metric.Counter, Unit: metric.Bytes, Help: "Bytes sent."}
	working = &metric.Family{Name: "memory_working_set", Kind: metric.Gauge, Unit: metric.Bytes, Help: "Memory in use."}
	runq = &metric.Family{Name: "runq_latency", Kind: metric.Histogram, Unit: metric.Seconds, Help: "Wait for a CPU."}
	disk = &metric.Family{
		Name: "disk_read", Kind: metric.Counter, Unit: metric.Bytes, Help: "Bytes read.",
		Labels: []metric.Label{{Name: "device"}},
	}
	return sent, working, runq, disk
}

var t0 = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

func container(name string) *metric.Target {
	return &metric.Target{
		ID: metric.MakeID("m", name), Incarnation: "boot-1", Kind: metric.Container, Node: "n1", Namespace: "shop",
		Pod: name + "-0", Container: name, Workload: "Deployment/" + name, Cgroup: "/kubepods/" + name,
		Started: t0.Add(-time.Hour),
	}
}

// batchAt is batch seq of the first epoch, whose window ends seq seconds after t0.
func batchAt(seq int, groups ...metric.Group) *metric.Batch {
	end := t0.Add(time.Duration(seq) * time.Second)
	return &metric.Batch{
		Node: "n1", Epoch: t0.UnixNano(), Seq: uint64(seq), Slot: end, Start: end.Add(-time.Second), End: end,
		Interval: time.Second, Groups: groups,
	}
}

func counter(f *metric.Family, value, total uint64) metric.Sample {
	return metric.Sample{Family: f, Value: value, Total: total, Ratio: 1}
}

func openStore(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "store")
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func appendAll(t testing.TB, s *Store, bs ...*metric.Batch) {
	t.Helper()
	for _, b := range bs {
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
	}
}

// ask evaluates query seq seconds after t0 and prints the result as PromQL does.
func ask(t testing.TB, r *Reader, seq int, query string) string {
	t.Helper()
	res, err := r.Instant(context.Background(), query, t0.Add(time.Duration(seq)*time.Second))
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if res.Err != nil {
		t.Fatalf("%s: %v", query, res.Err)
	}
	return res.Value.String()
}

func TestShortContainerLosesNothing(t *testing.T) {
	sent, _, runq, _ := families()
	s := openStore(t, Options{})
	long, short := container("web"), container("job")
	short.Started = t0.Add(1300 * time.Millisecond)
	h := metric.Hist{Sum: 3e6, First: 40, Counts: []uint64{1, 0, 2}}
	appendAll(t, s,
		batchAt(1, metric.Group{Target: long, Samples: []metric.Sample{counter(sent, 10, 1000)}}),
		batchAt(2,
			metric.Group{Target: long, Samples: []metric.Sample{counter(sent, 20, 1020)}},
			metric.Group{Target: short, Last: true, Samples: []metric.Sample{
				counter(sent, 1_000_003, 1_000_003), {Family: runq, Hist: &h, Sum: &h, Ratio: 1},
			}}),
		batchAt(3, metric.Group{Target: long, Samples: []metric.Sample{counter(sent, 5, 1025)}}))
	for query, want := range map[string]string{
		`increase(viperprobe_tcp_sent_bytes_total{container="job"}[1m] anchored)`: "1000003 @",
		`increase(viperprobe_tcp_sent_bytes_total{container="web"}[1m] anchored)`: "35 @",
		`histogram_count(last_over_time(viperprobe_runq_latency_seconds[1m]))`:    "3 @",
		`histogram_sum(last_over_time(viperprobe_runq_latency_seconds[1m]))`:      "0.003 @",
		`viperprobe_tcp_sent_bytes_total{container="web"}`:                        "1025 @",
	} {
		if got := ask(t, &s.Reader, 3, query); !strings.Contains(got, "=> "+want) || strings.Count(got, "=>") != 1 {
			t.Errorf("%s = %q, want %s", query, got, want)
		}
	}
	if got := ask(t, &s.Reader, 3, `viperprobe_tcp_sent_bytes_total{container="job"}`); got != "" {
		t.Errorf("a target that ended still has a value: %s", got)
	}
}

func TestAppendTwice(t *testing.T) {
	sent, _, _, _ := families()
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	b := func(seq int) *metric.Batch {
		return batchAt(seq, metric.Group{Target: container("web"), Samples: []metric.Sample{counter(sent, 1, uint64(seq))}})
	}
	appendAll(t, s, b(1), b(2), b(2), b(1))
	if st := s.Stats(); st.Batches != 2 || st.Duplicates != 2 || st.Dropped != 0 {
		t.Errorf("stats %+v", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	appendAll(t, s, b(2), b(3))
	if st := s.Stats(); st.Batches != 1 || st.Duplicates != 1 || st.Dropped != 0 {
		t.Errorf("after reopening: stats %+v", st)
	}
	if got := ask(t, &s.Reader, 3, `count_over_time(viperprobe_tcp_sent_bytes_total[1m])`); !strings.Contains(got, "=> 4 @") {
		t.Errorf("samples (1 before the first window, 3 of batches): %s", got)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	used := openStore(t, Options{Dir: filepath.Join(dir, "used")})
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir  string
		is   error
		want string
	}{
		{used.options.Dir, ErrLocked, fmt.Sprintf("in use by process %d; stop it", os.Getpid())},
		{filepath.Join(dir, "file"), nil, "a file is in the way"},
	} {
		s, err := Open(Options{Dir: c.dir})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s opened", c.dir)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.dir) {
			t.Errorf("Open: %v; want %q", err, c.want)
		}
	}
}
