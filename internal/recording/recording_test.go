package recording

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
)

var families = []*metric.Family{
	{Name: "runq_latency", Kind: metric.Histogram, Unit: metric.Seconds, Aliases: []string{"runq"}},
	{Name: "context_switches", Kind: metric.Counter, Unit: metric.One},
	{Name: "memory_working_set_bytes", Kind: metric.Gauge, Unit: metric.Bytes},
	{Name: "agent_samples", Kind: metric.Counter, Unit: metric.One, Tier: metric.Self},
	{Name: "block_latency", Kind: metric.Histogram, Unit: metric.Seconds, Labels: []metric.Label{{Name: "operation"}}},
}

// write makes a file in a folder of the test.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readText(t testing.TB, text string, o Options) (*Recording, error) {
	t.Helper()
	o.Families = families
	return ReadFiles(write(t, t.TempDir(), "a.csv", text), o)
}

func TestNames(t *testing.T) {
	for name, want := range map[string]analysis.Series{
		"x":                                     {Family: "x"},
		"x.p99":                                 {Family: "x", Statistic: "p99"},
		"x.y":                                   {Family: "x.y"},
		"web/runq.p50":                          {Family: "runq_latency", Statistic: "p50", Container: "web", Service: "web"},
		"cart-0/x":                              {Family: "x", Container: "cart-0", Service: "cart"},
		"shop/cart-7d9f8b6c5d-x2x4z/app/x.rate": {Family: "x", Statistic: "rate", Container: "shop/cart-7d9f8b6c5d-x2x4z/app", Service: "shop/cart"},
		"/system.slice/nginx.service/block_latency(read).p99": {Family: "block_latency", Statistic: "p99", Label: "read",
			Container: "/system.slice/nginx.service", Service: "/system.slice/nginx.service"},
		`viperprobe_runq_latency_seconds{namespace="shop",pod="cart-0",container="cart"}.p99`: {Family: "runq_latency", Statistic: "p99",
			Container: "shop/cart-0/cart", Service: "shop/cart"},
		`http_requests_total{instance="10.0.0.1:80",job="web"}`:                           {Family: "http_requests_total", Statistic: "rate", Container: "10.0.0.1:80", Service: "web"},
		`rpc_seconds{container="a",service="s",pattern="redis",quantile="0.99"}`:          {Family: "rpc_seconds", Statistic: "p99", Container: "a", Service: "s", Pattern: "redis"},
		`viperprobe_context_switches_total{kind="node",node="n",target="ab12"}`:           {Family: "context_switches", Statistic: "rate", Container: "node", Service: "node"},
		`viperprobe_block_latency_seconds{container="db",operation="write",node="n"}.p50`: {Family: "block_latency", Statistic: "p50", Label: "write", Container: "db", Service: "db"},
		`errors_total{job="web",code="500",zone="a"}`:                                     {Family: "errors_total", Statistic: "rate", Label: `code="500",zone="a"`, Container: "web", Service: "web"},
		`x{cgroup="/a/b",note="with \"quotes\", and } a brace"}`:                          {Family: "x", Label: `note="with \"quotes\", and } a brace"`, Container: "/a/b", Service: "/a/b"},
	} {
		got, counter, err := newNamer(families).read(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want.Name = name
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if counter != strings.Contains(name, "_total") {
			t.Errorf("%s: counter %v", name, counter)
		}
	}
}

func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.csv")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no bad files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, rest, _ := strings.Cut(string(data), "\n")
			dir := t.TempDir()
			_, err = ReadFiles(write(t, dir, "bad.csv", rest), Options{Families: families})
			if err == nil {
				t.Fatal("accepted")
			}
			if got, want := strings.ReplaceAll(err.Error(), dir+"/", ""), strings.TrimPrefix(first, "# want: "); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if !errors.As(err, new(*Fault)) {
				t.Errorf("%T is no Fault", err)
			}
		})
	}
}

func nan() float64 { return math.NaN() }

func TestWide(t *testing.T) {
	text := "\xef\xbb\xbftime,web/x,y_total,slo,run,workload\n" +
		"2026-11-24T10:00:00Z,1,100,0,one,steady\n2026-11-24T10:00:02Z,,104,0,one,steady\n2026-11-24T10:00:04Z,3,110,1,one,steady\n" +
		"2026-11-24T11:00:00Z,4,5,0,two,burst\n2026-11-24T11:00:02Z,NaN,5,1,two,burst\n"
	got, err := readText(t, text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const at = 1795514400
	want := &Recording{
		Recording: analysis.Recording{
			Step: 2,
			Series: []analysis.Series{
				{Name: "web/x", Family: "x", Container: "web", Service: "web", Values: []float64{1, nan(), 3, 4, nan()}},
				{Name: "y_total", Family: "y_total", Statistic: "rate", Values: []float64{nan(), 2, 3, nan(), 0}},
			},
			SLO:  []bool{false, false, true, false, true},
			Runs: []analysis.Section{{Name: "one", Workload: "steady", From: 0, To: 3}, {Name: "two", Workload: "burst", From: 3, To: 5}},
		},
		Times: []float64{at, at + 2, at + 4, at + 3600, at + 3602},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
}

// Times that begin again with each run are those of a stop watch.
func TestRunsOfAStopWatch(t *testing.T) {
	got, err := readText(t, "time,x,run\n0,1,a\n1,2,a\n0,3,b\n1,4,b\n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]analysis.Section{{Name: "a", To: 2}, {Name: "b", From: 2, To: 4}}, got.Runs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{1, 2, 3, 4}, got.Series[0].Values); diff != "" {
		t.Error(diff)
	}
}

func TestSplit(t *testing.T) {
	var b strings.Builder
	b.WriteString("time,x\n")
	for i := range 100 {
		at := i
		if i >= 50 {
			at += 100
		}
		fmt.Fprintf(&b, "%d,%d\n", at, i%7)
	}
	for split, want := range map[string][]int{"": {50, 100}, "gap": {50, 100}, "gap=200s": nil, "none": nil, "20s": {20, 40, 50, 70, 90, 100}, "25s": {25, 50, 75, 100}} {
		s, err := ParseSplit(split)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readText(t, b.String(), Options{Split: s})
		if err != nil {
			t.Fatal(split, err)
		}
		var ends []int
		for _, r := range got.Runs {
			ends = append(ends, r.To)
		}
		if diff := cmp.Diff(want, ends); diff != "" {
			t.Errorf("%q: %s", split, diff)
		}
	}
	for _, bad := range []string{"soon", "gap=x", "file=1s", "-5m", "none="} {
		if _, err := ParseSplit(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "series.csv", "time,x\n0,1\n1,2\n2,3\n3,4\n4,5\n5,6\n")
	write(t, dir, "load.csv", "time,slo,run\n0,0,up\n2,1,up\n4,0,down\n")
	write(t, dir, "notes.txt", "not a recording\n")
	got, err := ReadFiles(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{false, false, true, true, false, false}, got.SLO); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]analysis.Section{{Name: "up", To: 4}, {Name: "down", From: 4, To: 6}}, got.Runs); diff != "" {
		t.Error(diff)
	}
}

// Of files that say the same series at the same times, each is a run when asked to be.
func TestFolderOfRuns(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one.csv", "time,x\n0,1\n1,2\n2,3\n")
	write(t, dir, "two.csv", "time,x\n0,4\n1,5\n2,6\n")
	_, err := ReadFiles(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), "two.csv: column \"x\": it has a value at 0 already, in ") {
		t.Errorf("two values at a time: %v", err)
	}
	got, err := ReadFiles(dir, Options{Split: Split{by: "file"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]analysis.Section{{Name: "one", To: 3}, {Name: "two", From: 3, To: 6}}, got.Runs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{1, 2, 3, 4, 5, 6}, got.Series[0].Values); diff != "" {
		t.Error(diff)
	}
}

func TestLimits(t *testing.T) {
	text := "time,a,b\n1,1,2\n2,3,4\n3,5,6\n"
	for want, l := range map[string]Limits{
		"larger than the 10 bytes":    {Bytes: 10},
		"a.csv:4: more than 2 rows":   {Rows: 2},
		"more than 1 series":          {Series: 1},
		"a.csv:3: more than 3 values": {Values: 3},
	} {
		if _, err := readText(t, text, Options{Limits: l}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", l, err, want)
		}
	}
	big := write(t, t.TempDir(), "big.csv", "")
	if err := os.Truncate(big, 10<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFiles(big, Options{}); err == nil || !strings.Contains(err.Error(), "larger than the 4294967296 bytes that are read") {
		t.Errorf("10 GB: %v", err)
	}
	// A step far below the data's would make a grid without end.
	if _, err := readText(t, text, Options{Step: time.Nanosecond, Split: Split{by: "gap", length: time.Hour}}); err == nil || !strings.Contains(err.Error(), "rows of 1e-09 s, at most") {
		t.Errorf("a grid of 2e9 rows: %v", err)
	}
}

func FuzzCSV(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.csv")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), "\n")
		f.Add(rest)
	}
	f.Add("time,web/x,y_total,slo,run\n1,1,1,0,a\n2,,2,1,a\n1,3,3,,b\n")
	f.Fuzz(func(t *testing.T, text string) {
		b := &budget{Limits: Limits{Rows: 1000, Series: 100, Values: 10_000}.withDefaults()}
		n := newNamer(families)
		got, err := readCSV("a.csv", strings.NewReader(text), b, n)
		if err != nil {
			return
		}
		r, err := assemble([]*table{got}, Options{Limits: b.Limits})
		if err != nil {
			return
		}
		for _, s := range r.Series {
			if len(s.Values) != len(r.Times) {
				t.Fatalf("%s has %d values for %d times", s.Name, len(s.Values), len(r.Times))
			}
		}
	})
}
