package main

import (
	"bufio"
	"errors"
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
)

// workerEnv makes the test binary a workload: it obeys the commands on its
// standard input, a line each, and answers each with a line.
const workerEnv = "VIPERPROBE_AGENT_WORKER"

func work(in io.Reader, out io.Writer) {
	var c, s net.Conn
	for lines := bufio.NewScanner(in); lines.Scan(); {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch verb {
		case "hold":
			c, s, err = connection()
		case "send":
			n, _ := strconv.Atoi(arg)
			err = exchange(c, s, n)
		case "load":
			go load()
		default:
			err = errors.New("what?")
		}
		fmt.Fprintln(out, verb, err)
	}
}

// connection makes the two ends of a TCP connection.
func connection() (c, s net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if c, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	s, err = l.Accept()
	return c, s, err
}

func exchange(c, s net.Conn, n int) error {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, n))
		sent <- err
	}()
	_, err := io.CopyN(io.Discard, s, int64(n))
	return errors.Join(err, <-sent)
}

// load keeps connections, bytes and switches coming.
func load() {
	for {
		c, s, err := connection()
		for range 50 {
			err = errors.Join(err, exchange(c, s, 1000))
		}
		if err != nil {
			panic(err)
		}
		c.Close()
		s.Close()
	}
}

// A group is a cgroup of the test's own.
type group struct {
	t         *testing.T
	dir, path string
}

func newGroup(t *testing.T, name string) *group {
	t.Helper()
	h, err := cgroup.Find("/")
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/vp-agent-%s-%d", name, os.Getpid())
	g := &group{t, filepath.Join(h.V2, path), path}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !poll(10*time.Second, func() bool { return os.Remove(g.dir) == nil }) {
			t.Errorf("%s cannot be removed", g.dir)
		}
	})
	return g
}

type worker struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a worker that is born in the cgroup and ends with the test.
func (g *group) start() *worker {
	t := g.t
	t.Helper()
	dir, err := os.Open(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd()), Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("worker: %v", err)
		}
	})
	return &worker{t, in, bufio.NewReader(out)}
}

func (w *worker) do(line string) {
	w.t.Helper()
	verb, _, _ := strings.Cut(line, " ")
	fmt.Fprintln(w.in, line)
	if answer, err := w.out.ReadString('\n'); err != nil || answer != verb+" <nil>\n" {
		w.t.Fatalf("worker: %s: %q, %v", line, answer, err)
	}
}
