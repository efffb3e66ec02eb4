package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
	"viperprobe.dev/viperprobe/internal/web"
)

// stored is a store with three windows of one target; the second is followed by
// a restart of the agent. The store adds a zero where the first window begins.
func stored(t *testing.T) (s *store.Store, dir string, start time.Time) {
	t.Helper()
	dir, start = t.TempDir(), time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	f := testFamilies()
	target := &metric.Target{ID: "1", Kind: metric.Container, Node: "n", Container: "redis", Workload: "Deployment/redis", Pattern: "redis", Cgroup: "/redis", Started: start.Add(-time.Hour)}
	for i, at := range []int{1, 2, 12} {
		n := uint64(i + 1)
		end := start.Add(time.Duration(at) * time.Second)
		b := &metric.Batch{Node: "n", Epoch: 1, Seq: n, Slot: end, Start: end.Add(-time.Second), End: end, Interval: time.Second}
		if i == 2 {
			b.Epoch, b.Seq = 2, 1
		}
		h, sum := metric.Hist{Sum: 4000, First: 20, Counts: []uint64{2}}, metric.Hist{Sum: 4000 * n, First: 20, Counts: []uint64{2 * n}}
		b.Groups = []metric.Group{{Target: target, Samples: []metric.Sample{
			{Family: f[2], Value: 500, Total: 500 * n, Ratio: 1}, {Family: f[0], Hist: &h, Sum: &sum, Ratio: 1},
		}}}
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	return s, dir, start
}

func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, faults bytes.Buffer
	code = execute(t.Context(), parts{families: testFamilies()}, args, &out, &faults)
	return code, out.String(), faults.String()
}

func TestQuery(t *testing.T) {
	s, dir, start := stored(t)
	server := httptest.NewServer(web.Handler(web.Options{Recent: store.NewRecent(store.RecentOptions{}), Store: &s.Reader, Families: testFamilies()}))
	defer server.Close()
	at := func(seconds int) string { return start.Add(time.Duration(seconds) * time.Second).Format(stamp) }
	for _, place := range [][]string{{"--store", dir}, {"--url", server.URL}} {
		for _, tc := range []struct {
			args string
			want []string
		}{
			{"query tcp_sent_bytes -o csv", []string{"time,target,label,value", at(0) + ",redis,,0", at(1) + ",redis,,500", at(2) + ",redis,,1000", at(12) + ",redis,,1500", ""}},
			{"query tcp_sent_bytes -o csv --target nginx*", []string{"time,target,label,value", ""}},
			{"query runq -o csv --target redis", []string{"time,target,label,count,sum,p50,p90,p99"}},
			{"query runq -o json", []string{"["}},
			{"query tcp_sent_bytes -o json --target none", []string{"[]", ""}},
			{"query tcp_sent_bytes", []string{"TIME                     TARGET  LABEL  VALUE  (bytes)"}},
			{"export tcp_sent_bytes", []string{"time,family,target,label,value,count,sum,p50,p90,p99,kind,per_second,workload,pattern", at(0) + exported("0"), at(1) + exported("500"), at(2) + exported("1000"), at(12) + exported("1500"), ""}},
		} {
			code, out, faults := command(t, append(strings.Fields(tc.args), place...)...)
			if code != exitOK {
				t.Errorf("%s: code %d: %s", tc.args, code, faults)
			}
			lines := strings.Split(out, "\n")
			if len(tc.want) == 1 { // the rest is for the tests of store
				if len(lines) < 4 {
					t.Errorf("%s: few rows:\n%s", tc.args, out)
				}
				lines = []string{strings.TrimRight(lines[0][:min(len(lines[0]), len(tc.want[0]))], " ")}
			}
			if diff := cmp.Diff(tc.want, lines); diff != "" {
				t.Errorf("%s %s: %s", tc.args, place[0], diff)
			}
			if gap := "viperprobe: not measured on n from " + at(2) + " to " + at(11) + ": the agent was restarted\n"; !strings.HasSuffix(faults, gap) || faults != gap && len(lines) > 2 {
				t.Errorf("%s %s: gaps told as %q, want %q", tc.args, place[0], faults, gap)
			}
		}
	}
}

func exported(total string) string {
	return ",tcp_sent_bytes,redis,," + total + ",,,,,,counter,,Deployment/redis,redis"
}

// Rows of histograms have what was seen since the row before.
func TestQueryHistogram(t *testing.T) {
	_, dir, _ := stored(t)
	_, out, _ := command(t, "query", "runq_latency", "-o", "csv", "--store", dir)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	last := strings.Split(lines[len(lines)-1], ",")
	if len(last) != 8 || last[3] != "2" || last[4] != "0.000004" || last[5] == "" {
		t.Errorf("last row %q of\n%s", last, out)
	}
}

// An empty table says why it may be empty, and is no failure.
func TestQueryOfNothing(t *testing.T) {
	_, dir, _ := stored(t)
	for args, want := range map[string]string{
		"query tcp_sent_bytes --target nginx*":            `nothing stored of tcp_sent_bytes of targets that match "nginx*" from `,
		"query tcp_sent_bytes --since 2d --until 1d":      "nothing stored of tcp_sent_bytes from ",
		"export tcp_sent_bytes cpu_usage --target nginx*": `nothing stored of tcp_sent_bytes, cpu_usage of targets that match "nginx*" from `,
		"query tcp_sent_bytes --target redis*":            "",
	} {
		code, out, faults := command(t, append(strings.Fields(args), "--store", dir)...)
		if code != exitOK || strings.Contains(faults, "nothing stored") != (want != "") || !strings.Contains(faults, want) {
			t.Errorf("%s: code %d, printed %q, said %q, want %q", args, code, out, faults, want)
		}
	}
}

func TestQueryFaults(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		args string
		code int
		want []string
	}{
		{"query", exitUsage, []string{"want one family, have 0"}},
		{"query cpu", exitUsage, []string{`"cpu" stands for 2 families`}},
		{"query runqq --since yesterday --until x --by pods --target [ --step 1 --url nowhere", exitUsage, []string{
			`unknown family "runqq", did you mean "runq"?`, `--since: want how long ago`, `--until: want how long ago`, `--by: want target, pod, workload, namespace, node, pattern, have "pods"`,
			`--target: pattern "["`, `--step: want a duration`, `--url: want an address`,
		}},
		{"query runq --since 1m --until 5m", exitUsage, []string{"--since: begins at"}},
		{"query runq --url http://127.0.0.1:1", exitFailure, []string{"ask http://127.0.0.1:1: nothing listens there; start `viperprobe run`"}},
		{"query runq --store " + dir, exitFailure, []string{"open store " + dir, "viperprobe run makes one"}},
		{"query runq --store a --url http://a", exitUsage, []string{"--url and --store: give one"}},
		{"export runq -o json", exitUsage, []string{`--output: want csv, parquet, have "json"`}},
	} {
		code, out, faults := command(t, strings.Fields(tc.args)...)
		if code != tc.code || out != "" {
			t.Errorf("%s: code %d, want %d; printed %q; %s", tc.args, code, tc.code, out, faults)
		}
		for _, want := range tc.want {
			if !strings.Contains(faults, want) {
				t.Errorf("%s: want %q in\n%s", tc.args, want, faults)
			}
		}
	}
}
