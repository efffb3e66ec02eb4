package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// sendNumbers is the command viperprobe-send of tests: of each line of its input, a
// number, it sends so many bytes over a connection to itself, and says so when they
// have arrived.
func sendNumbers() {
	if err := sendAll(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func sendAll(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	server, err := l.Accept()
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			return err
		}
		sent := make(chan error, 1)
		go func() { _, err := client.Write(make([]byte, n)); sent <- err }()
		if _, err := io.CopyN(io.Discard, server, n); err != nil {
			return err
		}
		if err := <-sent; err != nil {
			return err
		}
		fmt.Fprintln(out, "sent", n)
	}
	return nil
}

// A sender is viperprobe-send in a cgroup of its own.
type sender struct {
	t    *testing.T
	path string // of the cgroup
	in   io.WriteCloser
	out  *bufio.Reader
}

func startSender(t *testing.T, name string) *sender {
	t.Helper()
	host, err := cgroup.Find("/")
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{t: t, path: fmt.Sprintf("/viperprobe-%s-%d", name, os.Getpid())}
	dir := filepath.Join(host.V2, s.path)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	group, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	c := exec.Command("viperprobe-send")
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if s.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.in.Close()
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *sender) send(n int) {
	s.t.Helper()
	fmt.Fprintln(s.in, n)
	if line, err := s.out.ReadString('\n'); line != fmt.Sprintln("sent", n) {
		s.t.Fatalf("asked to send %d, said %q, %v", n, line, err)
	}
}

// An instance of the real program, with a store that outlives it.
type ran struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	errs string // file with its standard error
}

func startRun(t *testing.T, store string) *ran {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	r := &ran{t: t, url: "http://" + address, cmd: exec.Command("viperprobe", "run", "--listen", address, "--store", store, "--control", "none", "--families", "network,runq_latency")}
	errs, err := os.Create(filepath.Join(t.TempDir(), "errs"))
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	r.cmd.Stderr, r.errs = errs, errs.Name()
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			r.cmd.Process.Kill()
			r.cmd.Wait()
		}
	})
	return r
}

func (r *ran) said() string {
	b, err := os.ReadFile(r.errs)
	if err != nil {
		r.t.Error(err)
	}
	return string(b)
}

// measures waits until the start is over and the target with that cgroup on /metrics:
// from then on nothing of it is missed.
func (r *ran) measures(path string) {
	r.t.Helper()
	ready := func() bool {
		return strings.Contains(r.said(), "msg=serving") && strings.Contains(get(r.url+"/metrics"), `cgroup="`+path+`"`)
	}
	for deadline := time.Now().Add(30 * time.Second); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s is not measured after 30 s; the instance said: %s", path, r.said())
		}
	}
}

// held is what it has in the kernel, which must be something.
func (r *ran) held() kerneltest.Held {
	r.t.Helper()
	h, err := kerneltest.HeldBy(r.cmd.Process.Pid)
	if err != nil || len(h.Programs) < 10 || len(h.Links) < 5 {
		r.t.Fatalf("the instance holds %d programs and %d links, which is not all; %v", len(h.Programs), len(h.Links), err)
	}
	return h
}

// end sends a signal and waits for the end, which must come within endLimit.
func (r *ran) end(s os.Signal) (code int) {
	r.t.Helper()
	late := time.AfterFunc(endLimit, func() { r.cmd.Process.Kill() })
	r.cmd.Process.Signal(s)
	r.cmd.Wait()
	if !late.Stop() {
		r.t.Errorf("not done %v after %v; it said: %s", endLimit, s, r.said())
	}
	return r.cmd.ProcessState.ExitCode()
}

// Under load, SIGTERM ends run within 2 s with everything stored to the last byte, and
// kill -9 leaves nothing in the kernel; the next run goes on in the same store, counting
// nothing twice.
func TestRunEnds(t *testing.T) {
	defer kerneltest.Storm(1)() // one CPU stays for the instance
	store, quiet := filepath.Join(t.TempDir(), "store"), startSender(t, "ends")
	stored := func() string {
		t.Helper()
		code, out, errs := exitOf(t, "query", "tcp_sent_bytes", "--store", store, "--target", quiet.path, "--step", "1h", "-o", "csv")
		if code != exitOK {
			t.Fatalf("query: exit code %d, %s", code, errs)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		return lines[len(lines)-1][strings.LastIndex(lines[len(lines)-1], ",")+1:]
	}

	quiet.send(5) // before anybody looked
	r := startRun(t, store)
	r.measures(quiet.path)
	quiet.send(123_456)
	held := r.held()
	if code := r.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.said())
	}
	if left := held.Left(2 * time.Second); len(left) > 0 {
		t.Errorf("2 s after its end the kernel still has %v", left)
	}
	if got := stored(); got != "123456" {
		t.Errorf("stored %s bytes sent before SIGTERM, want 123456", got)
	}

	r = startRun(t, store)
	r.measures(quiet.path)
	held = r.held()
	r.end(os.Kill)
	if left := held.Left(2 * time.Second); len(left) > 0 {
		t.Errorf("2 s after kill -9 the kernel still has %v", left)
	}
	quiet.send(77) // while nobody looked

	r = startRun(t, store)
	r.measures(quiet.path)
	quiet.send(1000)
	if code := r.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code after the restart %d: %s", code, r.said())
	}
	if got := stored(); got != "1000" { // the total begins again with the instance
		t.Errorf("stored %s bytes since the restart, want 1000", got)
	}
}

func exitOf(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.Command("viperprobe", args...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}
