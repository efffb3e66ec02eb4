package probe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var syscallNames = []string{"syscalls", "syscall_errors", "syscall_latency", "futex_wait"}

// classes of the calls that a worker makes; NR 20 is its 32-bit getpid.
var classes = map[int64]string{
	unix.SYS_READ: "read", unix.SYS_PREAD64: "read", unix.SYS_WRITE: "write", unix.SYS_OPENAT: "open", unix.SYS_CLOSE: "close",
	unix.SYS_POLL: "wait", unix.SYS_PPOLL: "wait", unix.SYS_EPOLL_PWAIT: "wait", unix.SYS_SENDMSG: "network", unix.SYS_RECVMSG: "network",
	unix.SYS_GETSOCKOPT: "network", unix.SYS_MMAP: "memory", unix.SYS_MUNMAP: "memory", unix.SYS_MADVISE: "memory", unix.SYS_MPROTECT: "memory",
	unix.SYS_GETPID: "process", unix.SYS_GETRUSAGE: "process", unix.SYS_GETTID: "process", unix.SYS_TGKILL: "process", unix.SYS_CLONE: "process", unix.SYS_CLONE3: "process",
	unix.SYS_RT_SIGPROCMASK: "process", unix.SYS_RT_SIGRETURN: "process", unix.SYS_SIGALTSTACK: "process", unix.SYS_SCHED_YIELD: "process",
	unix.SYS_SET_ROBUST_LIST: "process", unix.SYS_RSEQ: "process", unix.SYS_FUTEX: "futex", unix.SYS_NANOSLEEP: "time", unix.SYS_CLOCK_GETTIME: "time", unix.SYS_GETUID: "other",
	unix.SYS_FCNTL: "other", 20: "other",
}

// A called is what a worker's threads did, in the kernel's own trace.
type called struct {
	begun, ended, failed map[string]uint64
	waits                uint64 // in futex
}

func calledIn(t testing.TB, events []traced) called {
	t.Helper()
	c := called{map[string]uint64{}, map[string]uint64{}, map[string]uint64{}, 0}
	ops := map[int]uint64{} // of a thread's call; one that was in a futex call before waits in it
	for _, e := range events {
		var nr, ret int64
		var address, op uint64
		if e.event == "sys_enter" {
			if _, err := fmt.Sscanf(e.text, "NR %d (%x, %x", &nr, &address, &op); err != nil {
				t.Fatalf("%s: %v", e.text, err)
			}
		} else if _, err := fmt.Sscanf(e.text, "NR %d = %d", &nr, &ret); err != nil {
			t.Fatalf("%s: %v", e.text, err)
		}
		class := classes[nr]
		switch {
		case nr == -1: // the end of a signal handler is that of rt_sigreturn
			c.ended["process"]++
			continue
		case class == "":
			t.Fatalf("the test knows no class of call %d", nr)
		case e.event == "sys_enter":
			c.begun[class]++
			ops[e.thread] = op & 127
			continue
		}
		c.ended[class]++
		if ret < 0 && ret > -512 {
			c.failed[class]++
		}
		if class == "futex" && (ops[e.thread] == 0 || ops[e.thread] == 9) && ret != -int64(unix.EAGAIN) {
			c.waits++
		}
	}
	return c
}

func TestSyscallsAreThoseOfTheTrace(t *testing.T) {
	s := want(t, syscallNames...)
	kerneltest.Exact(t, syscallNames...)
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, syscallNames, g), newTarget(t, s, syscallNames, og)
	w, idle := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
	w.do("calls 1")
	w.do("compat 1")
	const n, wait = 100, 2e6
	exactOnce(t, func(t testing.TB) {
		idle.quiet()
		w.quiet()
		tr := newTrace(t, "raw_syscalls/sys_enter", "raw_syscalls/sys_exit")
		tr.start(t)
		old, oldOther := tg.mark(), other.mark()
		w.do("calls %d", n)
		w.do("compat %d", n)
		took := uint64(w.do("futex 10 %d", int(wait))["ns"])
		w.do("sleep 10 %d", int(wait))
		w.quiet()
		m, none := tg.mark().since(old), other.mark().since(oldOther)
		tr.stop(t)
		c := calledIn(t, w.traced(tr))
		for class, least := range map[string]uint64{"read": 2 * n, "write": n, "open": 2 * n, "close": n, "wait": n, "network": n, "memory": 2 * n, "process": n, "futex": 30, "time": n + 10, "other": 2 * n} {
			m.same(t, "syscalls/"+class, c.begun[class])
			m.same(t, "syscall_errors/"+class, c.failed[class])
			m.same(t, "syscall_latency/"+class+"/count", c.ended[class])
			if c.begun[class] < least {
				t.Errorf("the worker made %d calls of class %s, want %d", c.begun[class], class, least)
			}
		}
		m.same(t, "syscall_errors/read", n)
		m.same(t, "syscall_errors/open", n)
		m.same(t, "syscall_errors/network", n)
		m.same(t, "futex_wait/count", c.waits)
		if sum := m["futex_wait/sum"]; sum < 10*wait {
			t.Errorf("futex_wait is %d ns in sum, ours alone waited for %d at least", sum, int(10*wait))
		}
		if sum := m["syscall_latency/futex/sum"]; sum < m["futex_wait/sum"] || took < 10*wait {
			t.Errorf("futex calls took %d ns, of which %d waiting", sum, m["futex_wait/sum"])
		}
		if sum := m["syscall_latency/time/sum"]; sum < 10*wait {
			t.Errorf("sleeps took %d ns in sum, want %d at least", sum, int(10*wait))
		}
		none.nothing(t, "another target")
	})
	lossless(t, s)
}

// A call that began before the family was switched off is not taken for the one
// that ends after it was switched on again.
func TestSyscallLatencyAfterASwitch(t *testing.T) {
	const name = "syscall_latency"
	s := want(t, name)
	g := newGroup(t, nil)
	tg := newTarget(t, s, []string{name}, g)
	w := startWorker(t, workerOptions{Cgroup: g}) // is in recvmsg now
	w.quiet()
	for range 3 {
		if err := s.Switch(tg.slot, nil); err != nil {
			t.Fatal(err)
		}
		w.do("hello")
		w.quiet()
		if err := s.Switch(tg.slot, find(t, s, name)); err != nil {
			t.Fatal(err)
		}
		old := tg.mark()
		w.do("hello") // the end of a recvmsg that began unseen, a sendmsg, the beginning of a recvmsg
		w.quiet()
		tg.mark().since(old).same(t, name+"/network/count", 1)
	}
	lossless(t, s)
}

func TestSyscallLatencyIsTheTimeInTheCall(t *testing.T) {
	const name, n, wait = "syscall_latency", 10, 10 * time.Millisecond
	s := want(t, name)
	kerneltest.Exact(t, name)
	g := newGroup(t, nil)
	tg := newTarget(t, s, []string{name}, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("timer 1 1")
	w.quiet()
	exactOnce(t, func(t testing.TB) {
		old := tg.mark()
		a := w.do("timer %d %d", n, int(wait))
		m := tg.mark().since(old)
		m.same(t, name+"/read/count", n)
		if sum := m[name+"/read/sum"]; sum < uint64(a["least"]) || sum > uint64(a["most"]) {
			t.Errorf("%d calls took %d ns in sum, want %d to %d", n, sum, a["least"], a["most"])
		}
	})
	lossless(t, s)
}

func TestSyscallsOfAClosedGate(t *testing.T) {
	s := want(t, syscallNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, syscallNames, g)
	if err := s.Switch(tg.slot, find(t, s, "syscall_errors")); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("calls 20")
	for name, v := range tg.mark() {
		if v != 0 && !strings.HasPrefix(name, "syscall_errors/") {
			t.Errorf("%s = %d, which is switched off", name, v)
		}
	}
	if n := tg.mark()["syscall_errors/read"]; n < 20 {
		t.Errorf("syscall_errors/read = %d, want 20", n)
	}
}
