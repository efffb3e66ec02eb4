package main

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
	"viperprobe.dev/viperprobe/internal/web"
)

// flowSample is one family of a target in each of ten windows; a gauge has the value
// of its last window, a counter a tenth of it in each.
type flowSample struct {
	family, client, server string
	value                  uint64
}

// flowsStored is a store of ten windows of three targets: two webs that talk to a
// database, and one of them with others.
func flowsStored(t *testing.T, families []*metric.Family) (*store.Store, string) {
	t.Helper()
	dir, start := t.TempDir(), time.Now().UTC().Add(-30*time.Second).Truncate(time.Second)
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	web := func(n string) *metric.Target {
		return &metric.Target{ID: metric.TargetID("web" + n), Kind: metric.Container, Node: "n", Namespace: "shop", Pod: "web-" + n, Container: "nginx", Workload: "Deployment/web", Cgroup: "/w" + n, Started: start}
	}
	db := &metric.Target{ID: "db", Kind: metric.Container, Node: "n", Namespace: "data", Pod: "db-0", Container: "postgres", Workload: "StatefulSet/db", Cgroup: "/d", Started: start}
	const web1, web2, base = "shop/web-1/nginx", "shop/web-2/nginx", "data/db-0/postgres"
	told := map[*metric.Target][]flowSample{
		web("1"): {
			{"flow_sent_bytes", web1, base + ":5432", 1000}, {"flow_received_bytes", web1, base + ":5432", 20_000}, {"flow_connects", web1, base + ":5432", 10},
			{"flow_connect_time", web1, base + ":5432", 10e6}, {"flow_connections", web1, base + ":5432", 3}, {"flow_srtt", web1, base + ":5432", 2e6},
			{"flow_connect_failures", web1, "[fd00::9]:443", 20}, {"flow_sent_bytes", "internet", web1 + ":80", 500}, {"flow_connections", "internet", web1 + ":80", 7},
			{"flow_sent_bytes", web1, "other", 40}, {"flow_sent_bytes", web1, "10.0.0.9:80", 0},
		},
		web("2"): {
			{"flow_sent_bytes", web2, base + ":5432", 3000}, {"flow_received_bytes", web2, base + ":5432", 0}, {"flow_connects", web2, base + ":5432", 30},
			{"flow_connect_time", web2, base + ":5432", 90e6}, {"flow_connections", web2, base + ":5432", 1}, {"flow_srtt", web2, base + ":5432", 6e6},
		},
		db: {
			{"flow_received_bytes", web1, base + ":5432", 1000}, {"flow_sent_bytes", web1, base + ":5432", 20_000}, {"flow_connections", web1, base + ":5432", 3},
			{"flow_retransmits", web1, base + ":5432", 10}, {"flow_received_bytes", "10.0.0.9", base + ":5432", 70},
		},
	}
	for n := range uint64(10) {
		end := start.Add(time.Duration(n+1) * time.Second)
		b := &metric.Batch{Node: "n", Epoch: 1, Seq: n + 1, Slot: end, Start: end.Add(-time.Second), End: end, Interval: time.Second}
		for target, samples := range told {
			g := metric.Group{Target: target}
			for _, x := range samples {
				f := flowFamily(families, x.family)
				m := metric.Sample{Family: f, Labels: [2]string{x.client, x.server}, Ratio: 1, Value: x.value, Max: x.value}
				if f.Kind == metric.Counter {
					m.Value, m.Total = x.value/10, x.value/10*(n+1)
				}
				g.Samples = append(g.Samples, m)
			}
			b.Groups = append(b.Groups, g)
		}
		b.Groups = append(b.Groups, metric.Group{Target: &metric.Target{ID: "n", Kind: metric.Node, Node: "n", Cgroup: "/", Started: start}, Samples: []metric.Sample{{Family: flowFamily(families, "agent_targets"), Value: 4, Max: 4, Ratio: 1}}})
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	return s, dir
}

func TestFlows(t *testing.T) {
	families := catalogue.Families()
	s, dir := flowsStored(t, families)
	server := httptest.NewServer(web.Handler(web.Options{Recent: store.NewRecent(store.RecentOptions{}), Store: &s.Reader, Families: families}))
	defer server.Close()
	run := func(args ...string) (int, string, string) {
		var out, faults bytes.Buffer
		code := execute(t.Context(), parts{families: families}, append([]string{"flows"}, args...), &out, &faults)
		return code, out.String(), faults.String()
	}
	both := []flowEdge{
		{Client: "shop/web-1/nginx", Server: "data/db-0/postgres", Port: "5432", Connections: 3, Connects: 10, ToServer: 1000, ToClient: 20_000, Retransmits: 10, RTT: 0.002, ConnectTime: 0.001},
		{Client: "shop/web-2/nginx", Server: "data/db-0/postgres", Port: "5432", Connections: 1, Connects: 30, ToServer: 3000, RTT: 0.006, ConnectTime: 0.003},
	}
	internet := flowEdge{Client: "internet", Server: "shop/web-1/nginx", Port: "80", Connections: 7, ToClient: 500}
	stranger := flowEdge{Client: "10.0.0.9", Server: "data/db-0/postgres", Port: "5432", ToServer: 70}
	other := flowEdge{Client: "shop/web-1/nginx", Server: "other", ToServer: 40}
	refused := flowEdge{Client: "shop/web-1/nginx", Server: "fd00::9", Port: "443", Failures: 20}
	named := func(e flowEdge, client, server string) flowEdge { e.Client, e.Server = client, server; return e }
	webs := flowEdge{Port: "5432", Connections: 4, Connects: 40, ToServer: 4000, ToClient: 20_000, Retransmits: 10, RTT: 0.003, ConnectTime: 0.0025}
	for args, want := range map[string][]flowEdge{
		"":                        {both[0], both[1], internet, stranger, other, refused},
		"--outside":               {both[0], both[1], named(internet, "outside", internet.Server), named(stranger, "outside", stranger.Server), other, named(refused, refused.Client, "outside")},
		"--target shop/web-2/**":  {both[1]},
		"--by pod --target web-2": {named(both[1], "shop/web-2", both[1].Server)}, // the database told nothing: nobody knows its pod
		"--by namespace":          {named(webs, "shop", "data"), named(internet, "internet", "shop"), named(stranger, "10.0.0.9", "data"), named(other, "shop", "other"), named(refused, "shop", "fd00::9")},
		"--by workload --outside": {named(webs, "shop/Deployment/web", "data/StatefulSet/db"), named(internet, "outside", "shop/Deployment/web"),
			named(stranger, "outside", "data/StatefulSet/db"), named(other, "shop/Deployment/web", "other"), named(refused, "shop/Deployment/web", "outside")},
	} {
		for _, place := range [][]string{{"--store", dir}, {"--url", server.URL}} {
			code, out, faults := run(append(append(strings.Fields(args), "-o", "json"), place...)...)
			var got []flowEdge
			if err := json.Unmarshal([]byte(out), &got); code != exitOK || err != nil {
				t.Fatalf("flows %s: code %d, %v: %s", args, code, err, faults)
			}
			equal := []cmp.Option{cmpopts.IgnoreFields(flowEdge{}, "Seconds"), cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })}
			if d := cmp.Diff(want, got, equal...); d != "" {
				t.Errorf("flows %s %s (-want +got):\n%s", args, place[0], d)
			}
			if got[0].Seconds != 10 {
				t.Errorf("flows %s: %v s were measured, want 10", args, got[0].Seconds)
			}
		}
	}
	if _, out, _ := run("--store", dir, "--target", "shop/web-2/**"); out != `CLIENT            SERVER              PORT  OPEN  NEW/s  FAILED/s  SENT/s  RECEIVED/s  RTT  CONNECT  RESENT/s
shop/web-2/nginx  data/db-0/postgres  5432  1     3      -         300B    -           6ms  3ms      -
` {
		t.Errorf("table:\n%s", out)
	}
	for place, want := range map[string]string{
		"--target nobody": `no flows of a target like "nobody" between `, "--since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z": "no flows of any target between 2026-01-01T00:00:00Z and 2026-01-02T00:00:00Z; switch them on with",
	} {
		if code, out, faults := run(append(strings.Fields(place), "--store", dir)...); code != exitFailure || out != "" || !strings.Contains(faults, want) {
			t.Errorf("flows %s: code %d, %q, %q", place, code, out, faults)
		}
	}
}

// Each line of a graph is one that Graphviz knows, and where it is installed it says so,
// whatever containers are called.
func TestFlowsForGraphviz(t *testing.T) {
	edges := []*flowEdge{
		{Client: `a"b\`, Server: "c\n[label=x]", Port: "80", Seconds: 10, Connections: 1, Connects: 20, ToServer: 1e6, RTT: 0.001},
		{Client: "internet", Server: `a"b\`, Port: "443", Seconds: 10, Failures: 3},
		{Client: `a"b\`, Server: "other", Seconds: 10, ToClient: 5},
	}
	var out bytes.Buffer
	if err := writeDot(&out, edges); err != nil {
		t.Fatal(err)
	}
	const text = `"(?:[^"\\]|\\.)*"`
	statement := regexp.MustCompile(`^  (?:rankdir=LR; .*;|(?:node|edge) \[.*\];|` + text + `(?: -> ` + text + `)?(?: \[(?:\w+=(?:` + text + `|[\w.]+)(?:, )?)+\])?;)$`)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if lines[0] != "digraph flows {" || lines[len(lines)-1] != "}" {
		t.Errorf("graph begins with %q and ends with %q", lines[0], lines[len(lines)-1])
	}
	for _, line := range lines[1 : len(lines)-1] {
		if !statement.MatchString(line) {
			t.Errorf("no statement of Graphviz: %s", line)
		}
	}
	if n := len(lines); n != 2+3+4+3 {
		t.Errorf("%d lines, want a head of 3, 4 ends and 3 edges:\n%s", n, out.String())
	}
	dot, err := exec.LookPath("dot")
	if err != nil {
		return
	}
	c := exec.Command(dot, "-Tplain")
	c.Stdin = &out
	if drawn, err := c.CombinedOutput(); err != nil || strings.Count(string(drawn), "\nedge ") != 3 || strings.Count(string(drawn), "\nnode ") != 4 {
		t.Errorf("dot: %v\n%s", err, drawn)
	}
}
