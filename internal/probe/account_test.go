package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// An account is what the kernel's other books (/proc, the CPU clock of the
// process) say about a process, over its living threads where not per process.
type account struct {
	CPU                    uint64 // ns: what clock_gettime(CLOCK_PROCESS_CPUTIME_ID) tells the process
	Voluntary, Involuntary uint64 // living threads
	Minor, Major           uint64
	RunDelay, Timeslices   uint64 // living threads
	Read, Write            uint64 // bytes of system calls
	Reads, Writes          uint64 // calls
	DiskRead, DiskWrite    uint64
	Threads, Files         uint64
}

func (a account) since(b account) account {
	return account{
		CPU: a.CPU - b.CPU, Voluntary: a.Voluntary - b.Voluntary, Involuntary: a.Involuntary - b.Involuntary,
		Minor: a.Minor - b.Minor, Major: a.Major - b.Major, RunDelay: a.RunDelay - b.RunDelay, Timeslices: a.Timeslices - b.Timeslices,
		Read: a.Read - b.Read, Write: a.Write - b.Write, Reads: a.Reads - b.Reads, Writes: a.Writes - b.Writes,
		DiskRead: a.DiskRead - b.DiskRead, DiskWrite: a.DiskWrite - b.DiskWrite, Threads: a.Threads, Files: a.Files,
	}
}

// accountOf reads a process's account.
func accountOf(t testing.TB, pid int) account {
	t.Helper()
	a := account{CPU: cpuClock(t, pid)}
	dir := fmt.Sprintf("/proc/%d", pid)
	stat := procFile(t, dir, "stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+2:]) // from the state on: field 3 of proc(5)
	a.Minor, a.Major = parse(t, fields[7]), parse(t, fields[9])
	for line := range strings.Lines(procFile(t, dir, "io")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if to := map[string]*uint64{"rchar": &a.Read, "wchar": &a.Write, "syscr": &a.Reads, "syscw": &a.Writes,
			"read_bytes": &a.DiskRead, "write_bytes": &a.DiskWrite}[key]; to != nil {
			*to = parse(t, value)
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	a.Files = uint64(len(files))
	tasks, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		a.Threads++
		at := filepath.Join(dir, "task", task.Name())
		status, err := os.ReadFile(filepath.Join(at, "status"))
		waits, gone := os.ReadFile(filepath.Join(at, "schedstat"))
		if err != nil || gone != nil {
			continue // the thread has just ended
		}
		for line := range strings.Lines(string(status)) {
			if n, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				a.Voluntary += parse(t, strings.TrimSpace(n))
			}
			if n, ok := strings.CutPrefix(line, "nonvoluntary_ctxt_switches:"); ok {
				a.Involuntary += parse(t, strings.TrimSpace(n))
			}
		}
		counts := strings.Fields(string(waits))
		a.RunDelay += parse(t, counts[1])
		a.Timeslices += parse(t, counts[2])
	}
	return a
}

func procFile(t testing.TB, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parse(t testing.TB, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cpuClock is the process's CPU clock (clock_getcpuclockid(3)): dead threads too.
func cpuClock(t testing.TB, pid int) uint64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		t.Fatal(err)
	}
	return uint64(ts.Nano())
}

// quiet waits until the worker has nothing more to do (Go's own threads go on for
// some time after an answer) and returns its account. Nothing changes in it until
// the next command.
func (w *worker) quiet() account {
	w.t.Helper()
	var last account
	same := 0
	eventually(w.t, "the worker to be quiet", func() bool {
		now := accountOf(w.t, w.pid)
		if !cmp.Equal(now, last) {
			same = 0
		}
		last = now
		same++
		return same > 25
	})
	return last
}
