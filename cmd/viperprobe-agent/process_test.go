package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// The test binary is also the agent, and a workload (worker_test.go).
const agentEnv = "VIPERPROBE_AGENT_MAIN"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(agentEnv) != "":
		main()
		return
	case os.Getenv(workerEnv) != "":
		work(os.Stdin, os.Stdout)
		return
	}
	os.Exit(kerneltest.Locked{M: m}.Run())
}

// runAgent runs one command line to its end and gives its exit code and what it
// said on standard error.
func runAgent(t *testing.T, out io.Writer, as *syscall.Credential, args ...string) (code int, errs string) {
	t.Helper()
	cmd, said := agentCommand(t, as, args...), &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, said
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

func agentCommand(t *testing.T, as *syscall.Credential, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), agentEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// A batch is what the tests need of a line of the agent's output.
type batch struct {
	Partial bool
	Groups  []struct {
		Target  struct{ Kind, Cgroup string }
		Samples []struct {
			Family string
			Value  float64
			Total  *float64
		}
	}
}

// A process is the real program at work, with everything that it wrote.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	errs bytes.Buffer
	read chan error // says that the output has ended

	mu      sync.Mutex
	batches []batch
	sums    map[string]float64 // cgroup path, family
}

func startAgent(t *testing.T, args ...string) *process {
	t.Helper()
	a := &process{t: t, cmd: agentCommand(t, nil, args...), read: make(chan error, 1), sums: map[string]float64{}}
	a.cmd.Stderr = &a.errs
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { a.read <- a.follow(out) }()
	t.Cleanup(func() {
		if a.cmd.ProcessState == nil {
			a.cmd.Process.Kill()
			a.cmd.Wait()
		}
	})
	return a
}

func (a *process) follow(out io.Reader) error {
	for d := json.NewDecoder(bufio.NewReader(out)); ; {
		var b batch
		if err := d.Decode(&b); err != nil {
			return err
		}
		a.mu.Lock()
		a.batches = append(a.batches, b)
		for _, g := range b.Groups {
			for _, s := range g.Samples {
				if g.Target.Kind == "cgroup" {
					a.sums[g.Target.Cgroup] = 1
					a.sums[g.Target.Cgroup+" "+s.Family] += s.Value
				}
			}
		}
		a.mu.Unlock()
	}
}

func (a *process) sum(cgroup, family string) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sums[cgroup+" "+family]
}

// has tells whether a cgroup has been measured once: from then on nothing of it
// is missed.
func (a *process) has(cgroup string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sums[cgroup] > 0
}

func (a *process) wait(what string, done func() bool) {
	a.t.Helper()
	if !poll(20*time.Second, done) {
		a.t.Fatalf("waited 20 s in vain for %s; the agent said: %s", what, a.errs.String())
	}
}

// terminate sends SIGTERM and waits for the end, which must come within 2 s.
func (a *process) terminate() (code int, errs string) {
	a.t.Helper()
	late := time.AfterFunc(2*time.Second, func() { a.cmd.Process.Kill() })
	a.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-a.read; !errors.Is(err, io.EOF) {
		a.t.Errorf("output: %v", err)
	}
	a.cmd.Wait()
	if !late.Stop() {
		a.t.Error("the agent was not done 2 s after SIGTERM")
	}
	return a.cmd.ProcessState.ExitCode(), a.errs.String()
}

// checkIncreases fails for increases that are negative, or more than the total
// that they are part of.
func (a *process) checkIncreases() {
	a.t.Helper()
	for _, b := range a.batches {
		for _, g := range b.Groups {
			for _, s := range g.Samples {
				if s.Total != nil && (s.Value < 0 || s.Value > *s.Total) {
					a.t.Errorf("%s of %s: increase %v, total %v", s.Family, g.Target.Cgroup, s.Value, *s.Total)
				}
			}
		}
	}
}

// held is what the process has in the kernel.
func (a *process) held() kerneltest.Held {
	a.t.Helper()
	h, err := kerneltest.HeldBy(a.cmd.Process.Pid)
	if err != nil {
		a.t.Fatal(err)
	}
	return h
}

// poll asks until it is true or the time is over.
func poll(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
