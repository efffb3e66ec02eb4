package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Killed under load, the agent leaves nothing in the kernel; the next one counts
// nothing twice and nothing from before its start.
func TestKilledUnderLoad(t *testing.T) {
	g := newGroup(t, "kill")
	loaders := []*worker{g.start(), g.start()}
	for _, l := range loaders {
		l.do("load")
	}
	quiet := newGroup(t, "quiet")
	w := quiet.start()
	w.do("hold")

	a := startAgent(t, "run", "--interval", "200ms")
	a.wait("both groups measured", func() bool { return a.sum(g.path, "tcp_sent_bytes") > 0 && a.has(quiet.path) })
	w.do("send 1000")
	a.wait("the bytes", func() bool { return a.sum(quiet.path, "tcp_sent_bytes") == 1000 })
	held := a.held()
	if len(held.Programs) < 10 || len(held.Links) < 5 {
		t.Fatalf("the agent holds %d programs and %d links, which is not all", len(held.Programs), len(held.Links))
	}
	a.cmd.Process.Kill()
	a.cmd.Wait()
	if left := held.Left(2 * time.Second); len(left) > 0 {
		t.Errorf("2 s after kill -9 the kernel still has %v", left)
	}
	w.do("send 500")

	b := startAgent(t, "run", "--interval", "200ms")
	b.wait("both groups measured again", func() bool { return b.sum(g.path, "tcp_sent_bytes") > 0 && b.has(quiet.path) })
	w.do("send 30")
	if code, errs := b.terminate(); code != 0 {
		t.Errorf("exit code %d: %s", code, errs)
	}
	for family, want := range map[string]float64{"tcp_sent_bytes": 30, "tcp_received_bytes": 30, "tcp_accepts": 0, "tcp_connects": 0} {
		if got := b.sum(quiet.path, family); got != want {
			t.Errorf("%s after the restart: %v, want %v", family, got, want)
		}
	}
	b.checkIncreases()
}

// SIGTERM ends the agent within 2 s, and its last window holds what happened
// just before.
func TestTerminatedUnderLoad(t *testing.T) {
	g := newGroup(t, "load")
	g.start().do("load")
	quiet := newGroup(t, "term")
	w := quiet.start()
	w.do("hold")

	a := startAgent(t, "run", "--interval", "3s")
	a.wait("a window", func() bool { return a.sum(g.path, "tcp_sent_bytes") > 0 && a.has(quiet.path) })
	w.do("send 123456")
	held := a.held()
	code, errs := a.terminate()
	if code != 0 || errs != "" {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if left := held.Left(2 * time.Second); len(left) > 0 {
		t.Errorf("2 s after the end the kernel still has %v", left)
	}
	if last := a.batches[len(a.batches)-1]; !last.Partial {
		t.Error("the last window is not marked partial")
	}
	for _, family := range []string{"tcp_sent_bytes", "tcp_received_bytes"} {
		if got := a.sum(quiet.path, family); got != 123456 {
			t.Errorf("%s: %v, want 123456", family, got)
		}
	}
}

// When nobody reads any more the agent says so and ends.
func TestBrokenOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	code, errs := runAgent(t, w, nil, "run", "--interval", "200ms", "--families", "tcp_sent_bytes")
	w.Close()
	const want = "viperprobe-agent: write batch 1: write /dev/stdout: broken pipe: whoever read it has gone\n"
	if code != exitFailure || errs != want {
		t.Errorf("exit code %d, said %q, want %q", code, errs, want)
	}
}

func TestFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	code, errs := runAgent(t, full, nil, "run", "--interval", "200ms", "--families", "tcp_sent_bytes")
	if code != exitFailure || !strings.Contains(errs, "write batch 1: write /dev/stdout: no space left on device") {
		t.Errorf("exit code %d, said %q", code, errs)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"run --families runq_latncy", `unknown family "runq_latncy", did you mean "runq_latency"?`},
		{"run --families cpu,zzzzzz", "unknown family \"zzzzzz\"; `viperprobe metrics` lists them"},
		{"run --interval 0s", "--interval: 0s, want more than 0"},
		{"run --cgroup [", "--cgroup: "},
		{"run --intervall 1s", "unknown flag: --intervall"},
		{"run now", `unknown command "now"`},
		{"rum", `unknown command "rum"`},
	} {
		var out bytes.Buffer
		code, errs := runAgent(t, &out, nil, strings.Fields(c.args)...)
		if code != exitUsage || !strings.Contains(errs, c.want) || out.Len() > 0 {
			t.Errorf("%s: exit code %d, said %q and %q, want %q", c.args, code, errs, out.String(), c.want)
		}
	}
}

// Without rights the agent names them, and how to grant them.
func TestNoRights(t *testing.T) {
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	var out bytes.Buffer
	code, errs := runAgent(t, &out, nobody, "run")
	for _, want := range []string{"rights: missing CAP_BPF (to load programs), CAP_PERFMON (to attach programs)", "run as root", "AmbientCapabilities="} {
		if !strings.Contains(errs, want) {
			t.Errorf("said %q, want %q", errs, want)
		}
	}
	if code != exitFailure || out.Len() > 0 {
		t.Errorf("exit code %d, wrote %q", code, out.String())
	}
}

func TestNoCgroup2(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("/proc", filepath.Join(root, "proc")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code, errs := runAgent(t, &out, nil, "run", "--root", root)
	if code != exitUnsupported || !strings.Contains(errs, "no cgroup v2 hierarchy is mounted: mount one with") {
		t.Errorf("exit code %d, said %q", code, errs)
	}
}
