package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

var (
	sent = &metric.Family{Name: "tcp_sent", Kind: metric.Counter, Unit: metric.Bytes, Help: "Bytes sent over TCP, \"payload\" only."}
	used = &metric.Family{Name: "memory_working_set", Kind: metric.Gauge, Unit: metric.Bytes, Help: "Memory in use."}
	runq = &metric.Family{Name: "runq_latency", Kind: metric.Histogram, Unit: metric.Seconds, Help: "Time from being runnable to running."}
	disk = &metric.Family{
		Name: "block_latency", Kind: metric.Histogram, Unit: metric.Seconds, Help: "Time of block requests.",
		Labels: []metric.Label{{Name: "op", Values: []string{"read", "write"}}},
	}
)

func catalogue() []*metric.Family { return []*metric.Family{sent, used, runq, disk} }

// begin is when the agent of the tests began: some windows ago, so that what it
// measured is recent.
func begin() time.Time { return time.Now().Add(-20 * time.Second).Truncate(time.Second) }

func container(name string, started time.Time) *metric.Target {
	return &metric.Target{
		ID: metric.MakeID("m", name), Kind: metric.Container, Node: "n1", Namespace: "shop", Pod: name + "-0", Container: name,
		Workload: "Deployment/" + name, Image: "registry/" + name + ":1", Cgroup: "/kubepods/" + name, Started: started,
	}
}

func plain(kind metric.TargetKind, cgroup string) *metric.Target {
	return &metric.Target{ID: metric.MakeID("m", string(kind)+cgroup), Kind: kind, Node: "n1", Cgroup: cgroup}
}

// samples are one of each kind after n windows that were all alike.
func samples(n uint64) []metric.Sample {
	h := &metric.Hist{Sum: 3_500_000, First: 39, Counts: []uint64{1, 0, 2, 4}}
	sum := metric.Hist{Sum: h.Sum * n, First: h.First, Counts: []uint64{n, 0, 2 * n, 4 * n}}
	return []metric.Sample{
		{Family: sent, Value: 1000, Total: 1000 * n, Ratio: 1}, {Family: used, Value: 4096, Max: 8192, Ratio: 1},
		{Family: runq, Hist: h, Sum: &sum, Ratio: 1}, {Family: disk, Labels: [2]string{"read"}, Hist: h, Sum: &sum, Ratio: 1},
		{Family: disk, Labels: [2]string{"write"}, Hist: &metric.Hist{}, Sum: &metric.Hist{}, Ratio: 1},
	}
}

func batchAt(start time.Time, seq int, groups ...metric.Group) *metric.Batch {
	end := start.Add(time.Duration(seq) * time.Second)
	return &metric.Batch{
		Node: "n1", Epoch: start.UnixNano(), Seq: uint64(seq), Slot: end, Start: end.Add(-time.Second), End: end,
		Interval: time.Second, Groups: groups,
	}
}

// serve puts what the batches hold behind a handler.
func serve(t testing.TB, o Options, batches ...*metric.Batch) *httptest.Server {
	t.Helper()
	o.Recent = store.NewRecent(store.RecentOptions{})
	s, err := store.Open(store.Options{Dir: filepath.Join(t.TempDir(), "store")})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		o.Recent.Append(b)
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	if o.Families == nil {
		o.Families = catalogue()
	}
	o.Store, o.Version = &s.Reader, "v0.1.0"
	srv := httptest.NewServer(Handler(o))
	t.Cleanup(func() {
		srv.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// usual serves 10 windows of: a container, one that is a restart of another that
// ended, a plain cgroup, the node and the remainder.
func usual(t testing.TB, o Options) *httptest.Server {
	start := begin()
	web, old, again := container("web", start.Add(-time.Hour)), container("job", start.Add(500*time.Millisecond)), container("job", start.Add(5*time.Second))
	old.ID, old.Incarnation = "0000000000000001", "boot-1"
	var batches []*metric.Batch
	for seq := 1; seq <= 10; seq++ {
		n := uint64(seq)
		groups := []metric.Group{{Target: web, Samples: samples(n)}, {Target: plain(metric.Plain, "/batch/reindex"), Samples: samples(n)},
			{Target: plain(metric.Node, "/"), Samples: samples(n)}, {Target: plain(metric.Remainder, "/"), Samples: samples(n)}}
		if seq <= 4 {
			groups = append(groups, metric.Group{Target: old, Samples: samples(n), Last: seq == 4})
		}
		if seq >= 6 {
			groups = append(groups, metric.Group{Target: again, Samples: samples(n - 5)})
		}
		batches = append(batches, batchAt(start, seq, groups...))
	}
	return serve(t, o, batches...)
}

// get fetches a path; a request that fails ends the test.
func get(t testing.TB, srv *httptest.Server, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, readAll(t, resp.Body), resp.Header
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func want(t testing.TB, body string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(body, l) {
			t.Errorf("no %s in\n%s", l, clip(body))
		}
	}
}

func clip(s string) string {
	if len(s) > 4000 {
		return fmt.Sprintf("%s... (%d bytes)", s[:4000], len(s))
	}
	return s
}
