package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// faultActions: "fault user N" writes to N fresh pages, "fault kernel N" has the
// kernel write to them.
func faultActions() map[string]action {
	return map[string]action{"fault": func(_ *job, args []string) (answer, error) {
		size := number(args, 1) * os.Getpagesize()
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return nil, err
		}
		defer unix.Munmap(b)
		if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL {
			return nil, err
		}
		if args[0] == "user" {
			return answer{"minor": writeEach(b)}, nil
		}
		before := usage()["thread minor"]
		if err := readZeros(b); err != nil {
			return nil, err
		}
		return answer{"minor": usage()["thread minor"] - before}, nil
	}}
}

// readZeros fills b by one system call that nobody in user space looks at (the race
// detector would, and touch its own memory).
func readZeros(b []byte) error {
	fd, err := unix.Open("/dev/zero", unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n, _, errno := unix.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 || int(n) != len(b) {
		return fmt.Errorf("read %d of %d bytes of /dev/zero: %w", n, len(b), errno)
	}
	return nil
}

func TestFaultsAreThePagesTouched(t *testing.T) {
	names := []string{"user_faults", "kernel_faults"}
	kerneltest.Exact(t, names...)
	for _, rung := range rungs(2) {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			s := wantRung(t, "fault", rung, names...)
			if s == nil {
				t.Fatal("this kernel refuses a rung that the catalogue says it has")
			}
			mine, other := newGroup(t, nil), newGroup(t, nil)
			tg, tgOther := newTarget(t, s, names, mine), newTarget(t, s, names, other)
			w, idle := startWorker(t, workerOptions{Cgroup: mine}), startWorker(t, workerOptions{Cgroup: other})
			for _, kind := range []string{"user", "kernel", "user", "kernel"} { // all code and memory is there after this
				w.do("fault %s 300", kind)
			}
			idle.quiet()
			before := w.quiet()
			old, oldOther := tg.mark(), tgOther.mark()
			for kind, pages := range map[string]int{"user": 1000, "kernel": 700} {
				if n := w.do("fault %s %d", kind, pages)["minor"]; n < int64(pages) {
					t.Fatalf("%d pages were %d faults", pages, n)
				}
			}
			after := w.quiet()
			d := tg.mark().since(old)
			// The worker takes commands in memory that may be fresh: some faults more.
			all := after.Minor + after.Major - before.Minor - before.Major
			if got := d["user_faults"] + d["kernel_faults"]; got != all {
				t.Errorf("%d faults in sum, the kernel's account of the process says %d", got, all)
			}
			more := all - 1700
			if n := d["user_faults"]; n < 1000 || n > 1000+more {
				t.Errorf("user_faults = %d, want 1000 and at most %d more", n, more)
			}
			if more > 100 { // the race detector has memory of its own
				t.Errorf("%d faults that nobody asked for", more)
			}
			none := tgOther.mark().since(oldOther)
			none.same(t, "user_faults", 0)
			none.same(t, "kernel_faults", 0)
			lossless(t, s)
		})
	}
}

func TestFaultsOfAClosedGate(t *testing.T) {
	s := want(t, "user_faults", "kernel_faults")
	g := newGroup(t, nil)
	tg := newTarget(t, s, []string{"user_faults", "kernel_faults"}, g)
	if err := s.Switch(tg.slot, find(t, s, "kernel_faults")); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("fault user 200")
	w.do("fault kernel 200")
	m := tg.mark()
	m.same(t, "user_faults", 0)
	if m["kernel_faults"] < 200 {
		t.Errorf("kernel_faults = %d, want 200 at least", m["kernel_faults"])
	}
}

// What the kernel's account of the worker says are faults is what we took the time
// of; and a write to a mapped file of a frozen file system waits until the thaw.
func TestPageFaultLatency(t *testing.T) {
	const name = "page_fault_latency"
	s, byName := open(t)
	if byName[name].Lacks[kerneltest.Series(t)] != "" {
		return // TestEveryFamilyLoads has seen that it does not work
	}
	kerneltest.Exact(t, name)
	works(t, s, name)
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, []string{name}, g), newTarget(t, s, []string{name}, og)
	w, idle := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
	freeze := frozen(t)
	file := filepath.Join(freeze.dir, "viperprobe-mapped")
	t.Cleanup(func() { os.Remove(file) })
	if err := os.WriteFile(file, make([]byte, 64*4096), 0o600); err != nil {
		t.Fatal(err)
	}
	unix.Sync()
	for range 2 { // all code and memory is there after this
		w.do("fault user 300")
		w.do("fault kernel 300")
		w.do("pages map %s 64", file)
		unix.Sync()
		w.do("pages drop %s", file)
	}
	idle.quiet()
	before, began := w.quiet(), monotonic()
	old, oldOther := tg.mark(), other.mark()
	w.do("fault user 500")
	w.do("fault kernel 400")
	w.do("pages map %s 64", file)
	after, total := w.quiet(), monotonic()-began
	m := tg.mark().since(old)
	m.same(t, name+"/minor/count", after.Minor-before.Minor)
	m.same(t, name+"/major/count", after.Major-before.Major)
	if m[name+"/minor/count"] < 900 || m[name+"/major/count"] == 0 {
		t.Errorf("%d minor faults of 900, %d major ones", m[name+"/minor/count"], m[name+"/major/count"])
	}
	if sum := m[name+"/minor/sum"] + m[name+"/major/sum"]; sum == 0 || sum > total {
		t.Errorf("faults took %d ns in sum, all together %d", sum, total)
	}
	other.mark().since(oldOther).nothing(t, "another target")

	unix.Sync() // the pages are clean, so that writing to them faults again
	old = tg.mark()
	thaw := freeze.freeze(t)
	w.tell("pages map %s 1", file)
	eventually(t, "the worker to wait for the thaw", func() bool {
		stat := procFile(t, fmt.Sprintf("/proc/%d", w.pid), "stat")
		return strings.HasPrefix(stat[strings.LastIndexByte(stat, ')'):], ") D")
	})
	waiting := monotonic()
	eventually(t, "30 ms to pass", func() bool { return monotonic()-waiting > 30e6 })
	held := monotonic() - waiting
	thaw()
	w.answer()
	m = tg.mark().since(old)
	if sum := m[name+"/minor/sum"] + m[name+"/major/sum"]; sum < held {
		t.Errorf("faults took %d ns in sum, one waited for %d", sum, held)
	}
	lossless(t, s)
}
