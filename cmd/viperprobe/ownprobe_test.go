package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// The example of docs/own-probes.md, compiled as its Makefile says, counts exactly:
// signals to a task of another cgroup are that one's.
func TestExampleProbe(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/own-probe")); err != nil {
		t.Fatal(err)
	}
	tree, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("make", "-s", "-B", "-C", dir, "VIPERPROBE="+tree).CombinedOutput(); err != nil {
		t.Fatalf("make in examples/own-probe (make tools installs clang): %v\n%s", err, out)
	}
	p, err := newParts().withProbes(dir)
	if err != nil {
		t.Fatal(err)
	}
	signals, err := oneFamily("my_signals", p.families)
	if err != nil {
		t.Fatal(err)
	}
	host, err := cgroup.Find("/")
	if err != nil {
		t.Fatal(err)
	}
	group := fmt.Sprintf("/viperprobe-signals-%d", os.Getpid())
	child := inCgroup(t, filepath.Join(host.V2, group), "sleep", "60")

	batches := newLatest()
	e, err := p.engine(p, engineConfig{Sinks: []agent.Sink{batches}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	if err := e.Apply(policy.Plan{Generation: 1, Interval: 100 * time.Millisecond, Rules: []policy.Rule{{Wants: wants([]*metric.Family{signals}, 1)}}}); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		if err := child.Signal(syscall.SIGWINCH); err != nil { // which sleep ignores
			t.Fatal(err)
		}
	}
	for count := uint64(0); count != 7; {
		select {
		case b := <-batches.next:
			count = total(b, group, "other")
		case <-ctx.Done():
			t.Fatalf("%d signals in 30 s, want 7", count)
		}
	}
	stop()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// total is what the first family of the target in group has under the label so far.
func total(b *metric.Batch, group, label string) uint64 {
	for _, g := range b.Groups {
		for _, s := range g.Samples {
			if g.Target.Cgroup == group && s.Labels[0] == label {
				return s.Total
			}
		}
	}
	return 0
}

// inCgroup runs a command in a new cgroup until the test ends.
func inCgroup(t *testing.T, dir, name string, args ...string) *os.Process {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(d.Fd())}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return c.Process
}
