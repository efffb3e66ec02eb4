package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

func TestMetricsJSON(t *testing.T) {
	p := parts{families: []*metric.Family{
		{
			Name: "block_latency", Help: "How long.", Class: metric.Disk, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds,
			Labels: []metric.Label{{Name: "operation", Values: []string{"read", "write"}}, {Name: "device"}}, Owner: metric.OwnerBio,
			Source: "a tracepoint", Rungs: [][]string{{"a", "b"}, {"a", "c"}}, Kernel: "6.1", Sampling: metric.Events,
		},
		{Name: "pids", Class: metric.Process, Tier: metric.File, Kind: metric.Gauge, Unit: metric.One, Owner: metric.OwnerCgroup},
	}}
	var out, faults bytes.Buffer
	if code := execute(t.Context(), p, []string{"metrics", "-o", "json"}, &out, &faults); code != exitOK {
		t.Fatal(code, faults.String())
	}
	var got, want any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	const text = `[
	{"name":"block_latency","class":"disk","tier":"event","kind":"histogram","unit":"s","labels":["operation","device"],
	 "label_values":{"operation":["read","write"]},"owner":"bio","aliases":[],"hooks":["a","b","c"],"help":"How long.",
	 "source":"a tracepoint","kernel":"6.1","prometheus":"viperprobe_block_latency_seconds","on_demand":false,"sampling":true},
	{"name":"pids","class":"process","tier":"file","kind":"gauge","unit":"1","labels":[],"owner":"cgroup","aliases":[],"hooks":[],
	 "help":"","source":"","prometheus":"viperprobe_pids","on_demand":false,"sampling":false}]`
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// docs/metrics.md is what the catalogue says: `go test ./cmd/viperprobe -run Docs -update`.
func TestDocs(t *testing.T) {
	const path = "../../docs/metrics.md"
	var out, faults bytes.Buffer
	if code := execute(t.Context(), newParts(), []string{"metrics", "-o", "markdown"}, &out, &faults); code != exitOK {
		t.Fatal(code, faults.String())
	}
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(got), "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Errorf("docs/metrics.md is old (run go test ./cmd/viperprobe -run Docs -update): %s", diff)
	}
}
