package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// A scripted engine publishes batches and waits for the end.
type scripted struct {
	plan    policy.Plan
	sink    agent.Sink
	batches []*metric.Batch
	err     error
	none    error // why no family that needs BPF works
}

func (s *scripted) Apply(p policy.Plan) error { s.plan = p; return nil }

func (s *scripted) Status() ([]probe.Status, error) { return nil, nil }

func (s *scripted) AppProbes() []policy.AppStatus             { return nil }
func (s *scripted) Cost(context.Context) (metric.Bill, error) { return metric.Bill{}, nil }
func (s *scripted) Forecast(context.Context, policy.Plan) (metric.Forecast, error) {
	return metric.Forecast{}, nil
}
func (s *scripted) Targets() ([]*metric.Target, error) { return nil, nil }

func (s *scripted) Reason() error { return s.none }

func (s *scripted) Run(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	for _, b := range s.batches {
		if err := s.sink.Publish(ctx, b); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func runScripted(t *testing.T, s *scripted, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := parts{families: testFamilies(), engine: func(_ parts, c engineConfig) (engine, error) { s.sink = c.Sinks[0]; return s, nil }}
	var out, faults bytes.Buffer
	code = execute(t.Context(), p, append([]string{"top"}, args...), &out, &faults)
	return code, out.String(), faults.String()
}

func window(samples ...metric.Sample) *metric.Batch {
	end := time.Date(2026, 11, 24, 12, 0, 2, 0, time.UTC)
	return &metric.Batch{
		Seq: 2, Start: end.Add(-2 * time.Second), End: end, Interval: 2 * time.Second,
		Groups: []metric.Group{{Target: &metric.Target{ID: "1", Kind: metric.Plain, Node: "n", Cgroup: "/a"}, Samples: samples}},
	}
}

func TestTopOnce(t *testing.T) {
	families := testFamilies()
	first := window(metric.Sample{Family: families[2], Value: 1})
	first.Seq = 1 // only sets the baseline
	s := &scripted{batches: []*metric.Batch{first, window(metric.Sample{Family: families[2], Value: 3_999_000})}}
	code, out, faults := runScripted(t, s, "--once", "-o", "json", "--families", "network", "--cgroup", "/a")
	if code != exitOK || faults != "" {
		t.Fatal(code, faults)
	}
	var got, want any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`[{"target":{"id":"1","node":"n","namespace":"","pod":"","container":"","workload":"","cgroup":"/a","kind":"cgroup","pattern":""},
		"values":{"tcp_sent_bytes":1999500}}]`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	patterns, err := policy.Patterns()
	if err != nil {
		t.Fatal(err)
	}
	wantPlan := policy.Plan{Generation: 1, Interval: time.Second, Patterns: patterns, Rules: []policy.Rule{
		{Origin: "--families", Select: policy.Selector{Cgroups: []string{"/a"}}, Wants: []policy.Want{{Family: "tcp_sent_bytes", Ratio: 1}}},
	}}
	if diff := cmp.Diff(wantPlan, s.plan); diff != "" {
		t.Error(diff)
	}
}

func TestTopOncePartial(t *testing.T) {
	b := window(metric.Sample{Family: testFamilies()[1], Value: 1e9})
	b.Partial, b.Faults = true, []string{"read /a: gone"}
	code, out, faults := runScripted(t, &scripted{batches: []*metric.Batch{b}}, "--once")
	if code != exitOK || !strings.Contains(out, "/a") || !strings.Contains(faults, "read /a: gone") {
		t.Errorf("code %d\n%s\n%s", code, out, faults)
	}
}

func TestTopEngineFails(t *testing.T) {
	code, out, faults := runScripted(t, &scripted{err: errors.New("attach sched: operation not permitted")}, "--once")
	if code != exitFailure || out != "" || !strings.Contains(faults, "attach sched: operation not permitted") {
		t.Errorf("code %d, out %q, faults %q", code, out, faults)
	}
}

func TestTopNeedsTerminal(t *testing.T) {
	code, _, faults := runScripted(t, &scripted{})
	if code != exitFailure || !strings.Contains(faults, "not a terminal; `viperprobe top --once`") {
		t.Errorf("code %d, faults %q", code, faults)
	}
}

func TestTopUsage(t *testing.T) {
	code, _, faults := runScripted(t, &scripted{}, "--by", "pods", "--sort", "tcp_sent_bytes", "--families", "cpu", "-o", "json", "--interval", "0s")
	for _, want := range []string{
		`--by: want target, pod, workload, namespace, node, pattern, have "pods"`,
		`--sort: want one of the families shown, have "tcp_sent_bytes"`,
		`--output: is for --once`,
		`--interval: want between 100ms and 1h, have 0s`,
	} {
		if code != exitUsage || !strings.Contains(faults, want) {
			t.Errorf("code %d, want %q in\n%s", code, want, faults)
		}
	}
}

// A reader that does not keep up gets the newest batch, and the rest are counted.
func TestLatestDrops(t *testing.T) {
	l := newLatest()
	for i := range 5 {
		if err := l.Publish(t.Context(), &metric.Batch{Seq: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if b := <-l.next; b.Seq != 4 || l.dropped.Load() != 4 {
		t.Errorf("batch %d, %d dropped", b.Seq, l.dropped.Load())
	}
}
