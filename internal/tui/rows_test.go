package tui

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// twoPods is two containers of one workload on one node, a service, the node
// itself and the remainder, in a window of two seconds.
func twoPods() *metric.Batch {
	pod := func(id metric.TargetID, pod string) *metric.Target {
		return &metric.Target{ID: id, Kind: metric.Container, Node: "n", Namespace: "shop", Pod: pod, Container: "redis", Workload: "cache", Cgroup: "/" + pod}
	}
	return &metric.Batch{
		Node: "n", Start: t0, End: t0.Add(2 * time.Second), Interval: time.Second,
		Groups: []metric.Group{
			{Target: pod("a", "redis-0"), Samples: []metric.Sample{
				sample("cpu_usage", 1e9, 0), sample("threads", 3, 0), sample("runq_latency", 40, 2),
				sample("context_switches", 10, 0), sample("context_switches", 30, 0), // two labels
			}},
			{Target: pod("b", "redis-1"), Samples: []metric.Sample{
				sample("cpu_usage", 3e9, 0), sample("threads", 4, 0), sample("runq_latency", 48, 6),
			}},
			{Target: &metric.Target{ID: "c", Kind: metric.Service, Node: "n", Container: "ssh.service", Cgroup: "/ssh"}, Samples: []metric.Sample{
				sample("cpu_usage", 5e8, 0),
			}},
			{Target: &metric.Target{ID: "n", Kind: metric.Node, Node: "n", Cgroup: "/"}, Samples: []metric.Sample{
				sample("cpu_usage", 6e9, 0), sample("block_latency", 20, 1), sample(costCPU, 4e6, 0),
			}},
			{Target: &metric.Target{ID: "r", Kind: metric.Remainder, Node: "n", Cgroup: "/"}, Samples: []metric.Sample{
				sample("cpu_usage", 5e8, 0),
			}},
		},
	}
}

func TestWriteJSON(t *testing.T) {
	families := []*metric.Family{family("cpu_usage"), family("runq_latency"), family("threads")}
	b := twoPods()
	b.Groups[1].Samples = append(b.Groups[1].Samples[:2], metric.Sample{Family: family("runq_latency"), Hist: &metric.Hist{}})
	var out bytes.Buffer
	if err := WriteJSON(&out, Rows(b, families, store.ByTarget)[2:4]); err != nil {
		t.Fatal(err)
	}
	const want = `[
	 {"target":{"id":"a","node":"n","namespace":"shop","pod":"redis-0","container":"redis","workload":"cache","cgroup":"/redis-0","kind":"container","pattern":""},
	  "values":{"cpu_usage":0.5,"threads":3,"runq_latency":{"count":2,"sum":0.000002,"p50":0.0008955,"p90":0.00095978,"p99":0.00097487}}},
	 {"target":{"id":"b","node":"n","namespace":"shop","pod":"redis-1","container":"redis","workload":"cache","cgroup":"/redis-1","kind":"container","pattern":""},
	  "values":{"cpu_usage":1.5,"threads":4,"runq_latency":{"count":0,"sum":0,"p50":null,"p90":null,"p99":null}}}]`
	var g, w any
	if err := json.Unmarshal(out.Bytes(), &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	near := cmp.Comparer(func(a, b float64) bool { return a == b || a/b > 0.9999 && a/b < 1.0001 })
	if diff := cmp.Diff(w, g, near); diff != "" {
		t.Error(diff)
	}
}

func TestWriteCSV(t *testing.T) {
	families := []*metric.Family{family("threads"), family("runq_latency")}
	var out bytes.Buffer
	if err := WriteCSV(&out, Rows(twoPods(), families, store.ByWorkload), families); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"id,node,namespace,pod,container,workload,cgroup,kind,family,value,count,sum,p50,p90,p99",
		",n,shop,,redis,cache,,container,threads,7,,,,,",
		",n,shop,,redis,cache,,container,runq_latency,,8,8e-06,",
	}
	lines := strings.Split(out.String(), "\n")
	for i := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d: want %q in\n%s", i, want[i], out.String())
		}
	}
}

func TestWriteTable(t *testing.T) {
	families := []*metric.Family{family("cpu_usage"), family("runq_latency"), family("memory_working_set_bytes")}
	var out bytes.Buffer
	if err := WriteTable(&out, Rows(twoPods(), families, store.ByPod), families); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
                 cpu                    runq       memory
               usage                 latency  working set
TARGET             %     p50     p90     p99            B
(no pod)          50       -       -       -            -
shop/redis-0      50   896µs   960µs   975µs            -
shop/redis-1     150  3.58ms  3.84ms  3.90ms            -
`, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
