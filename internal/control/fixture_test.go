package control

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

var families = []*metric.Family{
	{Name: "cpu_usage", Class: metric.CPU, Tier: metric.File},
	{Name: "runq_latency", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram},
	{Name: "block_latency", Class: metric.Disk, Tier: metric.Event, Kind: metric.Histogram, OnDemand: true, Labels: []metric.Label{{Name: "operation", Values: []string{"read", "write"}}}},
}

// An engine keeps the plan that it was given.
type engine struct {
	mu      sync.Mutex
	plans   []policy.Plan
	targets []*metric.Target
	err     error
	refused map[string]string
}

func (e *engine) Refused() map[string]string { return e.refused }

func (e *engine) Apply(p policy.Plan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plans = append(e.plans, p)
	return e.err
}

func (e *engine) AppProbes() []policy.AppStatus {
	return []policy.AppStatus{{Probe: "query", File: "/bin/x", State: policy.AppAttached}}
}

func (e *engine) Targets() ([]*metric.Target, error) { return slices.Clone(e.targets), nil }

func (e *engine) Cost(context.Context) (metric.Bill, error) {
	return metric.Bill{Node: metric.NodeCost{CPUPercent: 1.5}}, nil
}

func (e *engine) Forecast(_ context.Context, p policy.Plan) (metric.Forecast, error) {
	return metric.Forecast{Then: metric.Bill{Node: metric.NodeCost{Series: len(p.For(e.targets[0], time.Now()))}}}, nil
}

// has lists the families of a target by the last plan.
func (e *engine) has(i int) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(e.plans[len(e.plans)-1].For(e.targets[i], time.Now()))), " ")
}

func newEngine() *engine {
	return &engine{targets: []*metric.Target{
		{ID: "1", Kind: metric.Container, Container: "redis", Namespace: "shop", Pattern: "redis", Cgroup: "/r"},
		{ID: "2", Kind: metric.Container, Container: "web", Namespace: "shop", Cgroup: "/w"},
		{ID: "3", Kind: metric.Node, Cgroup: "/"},
	}}
}

func wishes() policy.Wishes {
	return policy.Wishes{Interval: time.Second, Base: []policy.Rule{{Origin: "--families", Wants: []policy.Want{{Family: "cpu_usage", Ratio: 1}}}}}
}

func start(t *testing.T, paths ...string) (*Controller, *engine) {
	t.Helper()
	c, err := New(Options{Wishes: wishes(), Paths: paths, Families: families})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Record(filepath.Join(t.TempDir(), "changes.jsonl")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	e := newEngine()
	if err := c.Start(e); err != nil {
		t.Fatal(err)
	}
	return c, e
}

func write(t *testing.T, path, name, spec string) {
	t.Helper()
	text := "apiVersion: viperprobe.dev/v1alpha1\nkind: ProbePolicy\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
