package probe

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

const waitName = "runq_wait"

var waitNames = []string{waitName, "runq_latency"}

// A spinner is a process of one thread on CPU 0 that does nothing but count. (A
// worker has threads of Go's, which wait as well.)
type spinner struct {
	t   testing.TB
	cmd *exec.Cmd
	pid int
	in  *os.File
	end *os.File // what it says
	out *bufio.Reader
}

func startSpinner(t testing.TB, g *group) *spinner {
	t.Helper()
	theirs, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("busybox", "sh", "-c", "while read n; do i=0; while [ $i -lt $n ]; do i=$((i+1)); done; echo; done")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, end, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: g.fd, Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	end.Close()
	s := &spinner{t: t, cmd: cmd, pid: cmd.Process.Pid, in: in, end: out, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		s.kill()
		in.Close()
		out.Close()
	})
	var cpu0 unix.CPUSet
	cpu0.Set(0)
	if err := unix.SchedSetaffinity(s.pid, &cpu0); err != nil {
		t.Fatal(err)
	}
	s.spin(10)
	s.wait()
	return s
}

func (s *spinner) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// spin begins to count to n, wait waits until it is done and asleep again.
func (s *spinner) spin(n int) {
	if _, err := fmt.Fprintln(s.in, n); err != nil {
		s.t.Fatal(err)
	}
}

func (s *spinner) wait() {
	if err := s.end.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.out.ReadString('\n'); err != nil {
		s.t.Fatalf("a spinner does not end: %v", err)
	}
	eventually(s.t, "a spinner to sleep", func() bool {
		stat := procFile(s.t, fmt.Sprintf("/proc/%d", s.pid), "stat")
		return strings.HasPrefix(stat[strings.LastIndexByte(stat, ')'):], ") S")
	})
}

// waited is a target's waits by cause, which must be the waits of runq_latency.
func (m mark) waited(t testing.TB) (throttled, own, other uint64) {
	t.Helper()
	throttled, own, other = m[waitName+"/throttled"], m[waitName+"/own"], m[waitName+"/other"]
	m.same(t, "runq_latency/sum", throttled+own+other+m[waitName+"/unknown"])
	return throttled, own, other
}

var switchLine = regexp.MustCompile(`\[(\d+)\] \S+ +(\d+)\.(\d{6}): (sched_\w+): (.*)`)

// A run is one of CPU 0 in the kernel's own trace, in µs.
type traceRun struct {
	pid      int
	from, to uint64
}

// waitsIn is how long the processes waited for CPU 0 while one of them ran, and
// while anything else did, in ns, and how many waits that were.
func waitsIn(t testing.TB, tr trace, pids ...int) (own, other, n uint64) {
	t.Helper()
	mine, queued := map[int]bool{}, map[int]uint64{}
	for _, pid := range pids {
		mine[pid] = true
	}
	var runs []traceRun
	for line := range strings.Lines(procFile(t, tr.dir, "trace")) {
		m := switchLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at, e := parse(t, m[2])*1e6+parse(t, m[3]), traced{text: m[5]}
		if m[4] == "sched_wakeup" { // by whichever CPU
			queued[int(e.field(t, "pid"))] = at
			continue
		}
		if parse(t, m[1]) != 0 {
			continue
		}
		prev, next := int(e.field(t, "prev_pid")), int(e.field(t, "next_pid"))
		if len(runs) > 0 {
			runs[len(runs)-1].to = at
		}
		if mine[next] && queued[next] != 0 {
			n++
			for _, r := range runs {
				if from := max(r.from, queued[next]); from < r.to && mine[r.pid] {
					own += (r.to - from) * 1000
				} else if from < r.to {
					other += (r.to - from) * 1000
				}
			}
		}
		delete(queued, next)
		if mine[prev] && strings.Contains(e.text, "prev_state=R") {
			queued[prev] = at
		}
		runs = append(runs, traceRun{pid: next, from: at})
	}
	return own, other, n
}

// Two that want one CPU wait for each other: they are of one target, or of two.
func TestRunqWaitBehindOwnTasksOrOthers(t *testing.T) {
	kerneltest.Exact(t, waitName)
	s := want(t, waitNames...)
	ga, gb := newGroup(t, nil), newGroup(t, nil)
	a, b := newTarget(t, s, waitNames, ga), newTarget(t, s, waitNames, gb)
	own1, own2, other := startSpinner(t, ga), startSpinner(t, ga), startSpinner(t, gb)
	const count = 10_000 // few switches: see exactOnce
	exactOnce(t, func(t testing.TB) {
		tr := newTrace(t, "sched/sched_switch", "sched/sched_wakeup")
		tr.start(t)
		oldA, oldB := a.mark(), b.mark()
		for _, w := range []*spinner{own1, own2, other} {
			w.spin(count)
		}
		for _, w := range []*spinner{own1, own2, other} {
			w.wait()
		}
		marks := []mark{a.mark().since(oldA), b.mark().since(oldB)}
		tr.stop(t)
		for i, pids := range [][]int{{own1.pid, own2.pid}, {other.pid}} {
			throttled, own, other := marks[i].waited(t)
			wantOwn, wantOther, n := waitsIn(t, tr, pids...)
			slack := n * 20e3 // the trace is made before or after the run queue's clock was read
			if os.Getenv("VIPERPROBE_VM") == "1" {
				slack = n * 100e3 // instructions are emulated
			}
			if throttled != 0 || own+slack < wantOwn || own > wantOwn+slack || other+slack < wantOther || other > wantOther+slack {
				t.Errorf("%d processes waited %d ns throttled, %d behind their own, %d for others; the kernel's trace says %d behind their own and %d for others in %d waits",
					len(pids), throttled, own, other, wantOwn, wantOther, n)
			}
		}
	})
	lossless(t, s)
}

// limitCPU gives a spinner's cgroup so many of 100 ms; stat is what the kernel counts
// of it.
func limitCPU(t *testing.T, g *group, s *spinner, ms int) (stat func() (periods, ns uint64)) {
	t.Helper()
	dir, v1 := controllerGroup(t, "cpu", g, s.pid, s.kill)
	file, text, key, unit := "cpu.max", strconv.Itoa(ms*1000)+" 100000", "throttled_usec", uint64(1000)
	if v1 {
		file, text, key, unit = "cpu.cfs_quota_us", strconv.Itoa(ms*1000), "throttled_time", 1
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0); err != nil {
		t.Fatal(err)
	}
	at := &group{path: dir}
	return func() (uint64, uint64) {
		return at.file(t, "cpu.stat", "nr_throttled"), at.file(t, "cpu.stat", key) * unit
	}
}

// A task that has used up its limit waits as long as the kernel says that its run
// queue was stopped.
func TestRunqWaitOfThrottledTasks(t *testing.T) {
	kerneltest.Exact(t, waitName)
	s := want(t, waitNames...)
	g := newGroup(t, nil)
	tg, w := newTarget(t, s, waitNames, g), startSpinner(t, g)
	limit := 5 // ms: little enough to be used up on a busy machine
	if os.Getenv("VIPERPROBE_VM") == "1" {
		limit = 20 // time in which the VM itself does not run is used up, too
	}
	stat := limitCPU(t, g, w, limit)
	exactOnce(t, func(t testing.TB) {
		old := tg.mark()
		periods, stopped := stat()
		w.spin(30_000)
		w.wait()
		throttled, own, other := tg.mark().since(old).waited(t)
		p, ns := stat()
		periods, stopped = p-periods, ns-stopped
		if periods < 2 {
			t.Errorf("the limit was used up %d times", periods)
		}
		if throttled > stopped+stopped/20 || throttled < stopped-stopped/20 || own != 0 {
			t.Errorf("waited %d ns throttled, %d behind its own, %d for others; cpu.stat says stopped for %d in %d periods", throttled, own, other, stopped, periods)
		}
	})
	lossless(t, s)
}
