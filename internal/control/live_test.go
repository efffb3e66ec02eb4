package control

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/policy"
)

// In which series a family is told goes over the socket into the plan, the record and what
// is explained, and back; diff tells it beforehand.
func TestLiveLabels(t *testing.T) {
	c, e := start(t)
	client := listening(t, c)
	for _, labels := range []policy.Labels{nil, {}, {"operation": nil}, {"operation": {"read"}}} {
		x, err := client.Set(t.Context(), Wish{Selector: "redis", Families: []string{"block_latency"}, Ratio: 1, Labels: labels})
		if err != nil || !x.Labels.Equal(labels) {
			t.Errorf("%v: recorded %+v, %v", labels, x, err)
		}
		if got := e.plans[len(e.plans)-1].For(e.targets[0], time.Now())["block_latency"]; !got.Labels.Equal(labels) {
			t.Errorf("%v: planned %+v", labels, got)
		}
		why, err := client.Explain(t.Context(), "redis")
		if err != nil || !why[0].Reasons[0].Labels.Equal(labels) {
			t.Errorf("%v: explained %+v, %v", labels, why, err)
		}
	}
	if _, err := client.Unset(t.Context(), nil, ""); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "a", "selector: {containers: [redis]}, families: [{name: block_latency, labels: {operation: [read]}}]")
	files, err := Read([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Diff(t.Context(), files)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if d := cmp.Diff([]Series{{"block_latency", policy.Labels{"operation": {"read"}}}}, got[0].Labels); d != "" {
		t.Error(d)
	}
}

// Whoever explains a target whose labels are unknown is told which policies cannot be judged.
func TestExplainUnknownLabels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "by-label", "selector: {labels: {app: web}}, families: [block_latency]")
	c, e := start(t, path)
	e.targets[1].Labels = map[string]string{"app": "web"}
	client := listening(t, c)
	for name, want := range map[string][]string{"redis": {"by-label"}, "web": nil, "node": nil} {
		why, err := client.Explain(t.Context(), name)
		if err != nil || len(why) != 1 {
			t.Fatalf("%s: %+v, %v", name, why, err)
		}
		if d := cmp.Diff(want, why[0].Unjudged); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if e.has(1) != "block_latency cpu_usage" || e.has(0) != "cpu_usage" {
		t.Errorf("web has %s, redis %s", e.has(1), e.has(0))
	}
}
