package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

// crowd is two containers of one workload on one node, a service, the node itself
// and the remainder, in a window of two seconds.
func crowd() *metric.Batch {
	cpu := &metric.Family{Name: "cpu_usage", Kind: metric.Counter, Unit: metric.Seconds}
	threads := &metric.Family{Name: "threads", Kind: metric.Gauge, Unit: metric.One}
	_, _, runq, disk := families()
	waits := func(n uint64) metric.Sample {
		return metric.Sample{Family: runq, Hist: &metric.Hist{Sum: n * 1000, First: 40, Counts: []uint64{n}}}
	}
	redis := func(pod, pattern string) *metric.Target {
		return &metric.Target{ID: metric.TargetID(pod), Kind: metric.Container, Node: "n", Namespace: "shop", Pod: pod, Container: "redis", Workload: "cache", Pattern: pattern, Cgroup: "/" + pod}
	}
	return &metric.Batch{
		Node: "n", Start: t0, End: t0.Add(2 * time.Second), Interval: time.Second,
		Groups: []metric.Group{
			one(redis("redis-0", "redis"), counter(cpu, 1e9, 0), counter(threads, 3, 0), waits(2),
				metric.Sample{Family: disk, Labels: [2]string{"8:0"}, Value: 10}, metric.Sample{Family: disk, Labels: [2]string{"8:16"}, Value: 30}),
			one(redis("redis-1", "redis"), counter(cpu, 3e9, 0), counter(threads, 4, 0), waits(6)),
			one(&metric.Target{ID: "c", Kind: metric.Service, Node: "n", Container: "ssh.service", Cgroup: "/ssh"}, counter(cpu, 5e8, 0)),
			one(&metric.Target{ID: "n", Kind: metric.Node, Node: "n", Cgroup: "/"}, counter(cpu, 6e9, 0)),
			one(&metric.Target{ID: "r", Kind: metric.Remainder, Node: "n", Cgroup: "/"}, counter(cpu, 5e8, 0)),
		},
	}
}

// Each row: CPU per second, threads, waits, bytes per second.
func numbers(rows []TopRow) map[string][]float64 {
	got := map[string][]float64{}
	for _, r := range rows {
		h := r.Values["runq_latency"].Hist
		got[r.Name] = []float64{r.Values["cpu_usage"].Number, r.Values["threads"].Number, float64(h.Count()), r.Values["disk_read"].Number}
	}
	return got
}

func TestTop(t *testing.T) {
	for by, want := range map[Grouping]map[string][]float64{
		ByTarget: {
			"shop/redis-0/redis": {0.5, 3, 2, 20}, "shop/redis-1/redis": {1.5, 4, 6, 0}, "ssh.service": {0.25, 0, 0, 0},
			"node": {3, 0, 0, 0}, "remainder": {0.25, 0, 0, 0},
		},
		ByPod:       {"shop/redis-0": {0.5, 3, 2, 20}, "shop/redis-1": {1.5, 4, 6, 0}, "(no pod)": {0.5, 0, 0, 0}},
		ByWorkload:  {"shop/cache": {2, 7, 8, 20}, "(no workload)": {0.5, 0, 0, 0}},
		ByNamespace: {"shop": {2, 7, 8, 20}, "(no namespace)": {0.5, 0, 0, 0}},
		ByPattern:   {"redis": {2, 7, 8, 20}, "(no pattern)": {0.5, 0, 0, 0}},
		ByNode:      {"n": {3, 7, 8, 20}}, // the node's own CPU time holds that of its containers
	} {
		if diff := cmp.Diff(want, numbers(Top([]*metric.Batch{crowd()}, nil, by))); diff != "" {
			t.Errorf("by %s: %s", by, diff)
		}
	}
}

// Windows of several nodes need not be equally long.
func TestTopOfNodes(t *testing.T) {
	long := crowd()
	long.Node, long.Start = "m", t0.Add(-2*time.Second)
	for i := range long.Groups {
		x := *long.Groups[i].Target
		x.Node = "m"
		long.Groups[i].Target = &x
	}
	batches := []*metric.Batch{crowd(), long}
	if diff := cmp.Diff(map[string][]float64{"shop": {3, 14, 16, 30}, "(no namespace)": {0.75, 0, 0, 0}}, numbers(Top(batches, nil, ByNamespace))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]float64{"n": {3, 7, 8, 20}, "m": {1.5, 7, 8, 10}}, numbers(Top(batches, nil, ByNode))); diff != "" {
		t.Error(diff)
	}
}

func TestTopOfFamilies(t *testing.T) {
	_, _, runq, _ := families()
	rows := Top([]*metric.Batch{crowd()}, []*metric.Family{runq}, "")
	if len(rows) != 2 || len(rows[0].Values) != 1 || rows[0].Name != "shop/redis-0/redis" {
		t.Errorf("rows %+v", rows)
	}
}

// Merging histograms must not change the batch, which others read too.
func TestTopLeavesBatch(t *testing.T) {
	b, again := crowd(), crowd()
	Top([]*metric.Batch{b}, nil, ByNode)
	if diff := cmp.Diff(again, b); diff != "" {
		t.Error(diff)
	}
}
