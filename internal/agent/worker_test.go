package agent

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// workerEnv makes the test binary a workload: it obeys the commands on its
// standard input, a line each, and answers each with a line.
const workerEnv = "VIPERPROBE_AGENT_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		work(os.Stdin, os.Stdout)
		return
	}
	os.Exit(kerneltest.Locked{M: m}.Run())
}

func work(in io.Reader, out io.Writer) {
	lines := bufio.NewScanner(in)
	stopStorm := func() {}
	for lines.Scan() {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.Atoi(arg)
		switch verb {
		case "send":
			fmt.Fprintln(out, send(n))
		case "write":
			fmt.Fprintln(out, write(n))
		case "storm":
			stopStorm = kerneltest.Storm(n)
			fmt.Fprintln(out, n)
		case "calm":
			stopStorm()
			fmt.Fprintln(out, "calm")
		case "fault":
			fmt.Fprintln(out, fault(n))
		case "become":
			fmt.Fprintln(out, become(arg))
		case "exec":
			fmt.Fprintln(out, syscall.Exec(arg, []string{arg}, os.Environ()))
		case "load":
			fmt.Fprintln(out, load())
		default:
			fmt.Fprintln(out, "what?")
		}
	}
}

// send makes two sockets of this process exchange n bytes and closes them.
func send(n int) any {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	s, err := l.Accept()
	if err != nil {
		return err
	}
	go func() {
		c.Write(make([]byte, n))
		c.Close()
	}()
	got, err := io.Copy(io.Discard, s)
	s.Close()
	if err != nil {
		return err
	}
	return got
}

type worker struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	raw io.Reader // the same, of what speaks no lines
}

// startIn starts a worker that is born in a cgroup.
func startIn(t testing.TB, dir string) *worker {
	t.Helper()
	return start(t, dir, "/proc/self/exe", 0)
}

// startNet starts one that has a network namespace of its own, too.
func startNet(t testing.TB, dir string) *worker {
	t.Helper()
	return start(t, dir, "/proc/self/exe", syscall.CLONE_NEWNET)
}

// start starts the program at path, this one or one of kerneltest.Calls, in a cgroup.
func start(t testing.TB, dir, path string, namespaces uintptr) *worker {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &worker{t: t, cmd: exec.Command(path)}
	w.cmd.Env = append(os.Environ(), workerEnv+"=1", "GOMAXPROCS=2")
	w.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd()), Cloneflags: namespaces}
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.out, w.raw = bufio.NewReader(out), out
	if err := w.cmd.Start(); err != nil {
		t.Fatalf("start %s in %s: %v", path, dir, err)
	}
	return w
}

func (w *worker) do(line string) string {
	w.t.Helper()
	fmt.Fprintln(w.in, line)
	answer, err := w.out.ReadString('\n')
	if err != nil {
		w.t.Fatalf("worker: %s: %v", line, err)
	}
	return strings.TrimSpace(answer)
}

func (w *worker) end() {
	w.t.Helper()
	w.in.Close()
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("worker: %v", err)
	}
}

// mkdir makes a cgroup below the v2 root that ends with the test.
func mkdir(t testing.TB, h *cgroup.Host, name string) string {
	t.Helper()
	dir := filepath.Join(h.V2, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	return dir
}

// rmdir removes a cgroup, whose last process may be on its way out still.
func rmdir(t testing.TB, dir string) {
	t.Helper()
	eventually(t, "remove "+dir, func() bool {
		err := os.Remove(dir)
		return err == nil || os.IsNotExist(err)
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks at a condition
	}
}

// A ledger is a sink that adds everything up.
type ledger struct {
	mu      sync.Mutex
	batches []*metric.Batch
	sums    map[string]uint64 // cgroup path, family
	ended   map[string]bool
	named   map[string]*metric.Target
}

func newLedger() *ledger {
	return &ledger{sums: map[string]uint64{}, ended: map[string]bool{}, named: map[string]*metric.Target{}}
}

func (l *ledger) Publish(_ context.Context, b *metric.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, b)
	for _, g := range b.Groups {
		key := g.Target.Cgroup
		if g.Target.Kind == metric.Remainder {
			key = "remainder"
		}
		l.named[key] = g.Target
		l.ended[key] = g.Last
		for _, m := range g.Samples {
			switch m.Family.Kind {
			case metric.Counter:
				l.sums[key+" "+m.Family.Name] += m.Value
			case metric.Histogram:
				l.sums[key+" "+m.Family.Name] += m.Hist.Count()
			case metric.Gauge:
				l.sums[key+" "+m.Family.Name] = m.Value
			}
		}
	}
	return nil
}

func (l *ledger) sum(cgroup, family string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sums[cgroup+" "+family]
}

func (l *ledger) gone(cgroup string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended[cgroup]
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.batches)
}

// running is an agent that measures until stop, with everything that it published.
type running struct {
	*Agent
	*ledger
	stop func()
}

const interval = 100 * time.Millisecond

// measureAll starts an agent with the given families on.
func measureAll(t testing.TB, names ...string) *running {
	t.Helper()
	return measureIn(t, "/", names...)
}

// measureIn is measureAll on a machine whose runtimes keep their files below root.
func measureIn(t testing.TB, root string, names ...string) *running {
	t.Helper()
	return measureWith(t, root, func(*Options) {}, names...)
}

// measureWith is measureIn with other options.
func measureWith(t testing.TB, root string, more func(*Options), names ...string) *running {
	t.Helper()
	host, err := cgroup.Find("/")
	if err != nil {
		t.Fatal(err)
	}
	host.Root = root
	families := catalogue.Families()
	l := newLedger()
	o := Options{Host: host, Families: families, Object: catalogue.Object, Sinks: []Sink{l}}
	more(&o)
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if a.Reason() != nil {
		t.Fatal(a.Reason())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &running{Agent: a, ledger: l, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})}
	t.Cleanup(r.stop)
	if err := a.Apply(planOf(t, families, names...)); err != nil {
		t.Fatal(err)
	}
	return r
}

func planOf(t testing.TB, families []*metric.Family, names ...string) policy.Plan {
	t.Helper()
	wanted, err := policy.Resolve(names, families)
	if err != nil {
		t.Fatal(err)
	}
	r := policy.Rule{Origin: "test"}
	for _, f := range wanted {
		r.Wants = append(r.Wants, policy.Want{Family: f.Name, Ratio: 1})
	}
	return policy.Plan{Generation: 1, Interval: interval, Rules: []policy.Rule{r}}
}
