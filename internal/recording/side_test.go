package recording

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/analysis"
)

func TestCosts(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]map[string]float64{
		"family,cost\nrunq_latency,0.5\ncpu_usage,0\n": {"runq_latency": 0.5, "cpu_usage": 0},
		`{"node":{"cpu_percent":2},"families":[{"family":"a","cpu_percent":0.6,"containers":[{"target":"x"},{"target":"y"}]},{"family":"off","cpu_percent":0},{"family":"free","cpu_percent":0,"series":3}]}`: {"a": 0.3, "free": 0},
	} {
		got, _, err := ReadCosts(write(t, dir, "cost", text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for text, want := range map[string]string{
		"":                          "cost:1: want CSV with the header family,cost",
		"family,cost\n":             "cost: it has a header and no rows",
		"family,cost\na,-1\n":       `cost:2: column "cost": want a number, 0 or more, have "-1"`,
		"family,cost\na,1\na,2\n":   `cost:3: column "family": a is there twice`,
		"family,cost\na\n":          "cost:2: the row has another number of cells than the header, which has 2",
		"{":                         "cost: want what `viperprobe cost -o json` prints: unexpected end of JSON input",
		`{"families":[]}`:           "cost: it has the cost of no family",
		strings.Repeat("x", 17<<20): "cost: larger than 16777216 bytes",
	} {
		_, _, err := ReadCosts(write(t, dir, "cost", text))
		if err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), dir+"/", ""), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestCalls(t *testing.T) {
	got, err := ReadCalls(write(t, t.TempDir(), "calls.csv", "caller,callee\ngateway,cart\ncart, redis\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]analysis.Call{{Caller: "gateway", Callee: "cart"}, {Caller: "cart", Callee: "redis"}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadCalls(write(t, t.TempDir(), "calls.csv", "caller,callee\n,cart\n")); err == nil || !strings.HasSuffix(err.Error(), "calls.csv:2: want two services") {
		t.Errorf("a call of nobody: %v", err)
	}
}

// FuzzSide holds that costs are never negative and calls never of nobody, whatever stands in a file.
func FuzzSide(f *testing.F) {
	f.Add("family,cost\nrunq_latency,0.5\n")
	f.Add("caller,callee\ngateway,cart\n")
	f.Add(`{"families":[{"family":"a","cpu_percent":0.6,"series":1,"containers":[{"target":"x"}]}]}`)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		file := write(t, dir, "side", text)
		costs, _, err := ReadCosts(file)
		for family, cost := range costs {
			if err == nil && (!(cost >= 0) || family == "") {
				t.Fatalf("%q costs %g", family, cost)
			}
		}
		calls, err := ReadCalls(file)
		for _, c := range calls {
			if err == nil && (c.Caller == "" || c.Callee == "") {
				t.Fatalf("a call of nobody: %q", c)
			}
		}
	})
}
