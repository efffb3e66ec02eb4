package probe

import "testing"

// taskNames are the families of object task.
var taskNames = []string{"cpu_time", "runq_delay", "timeslices", "context_switches", "migrations", "page_faults",
	"syscall_io_bytes", "syscall_io_calls", "disk_bytes", "threads", "processes", "open_files"}

// sameAccount compares an increase with the kernel's other books, to the last
// nanosecond: both read task_struct while nothing of it changes.
func sameAccount(t *testing.T, got mark, want account) {
	t.Helper()
	got.same(t, "cpu_time", want.CPU)
	got.same(t, "runq_delay", want.RunDelay)
	got.same(t, "timeslices", want.Timeslices)
	got.same(t, "context_switches/voluntary", want.Voluntary)
	got.same(t, "context_switches/involuntary", want.Involuntary)
	got.same(t, "page_faults/minor", want.Minor)
	got.same(t, "page_faults/major", want.Major)
	got.same(t, "syscall_io_bytes/read", want.Read)
	got.same(t, "syscall_io_bytes/write", want.Write)
	got.same(t, "syscall_io_calls/read", want.Reads)
	got.same(t, "syscall_io_calls/write", want.Writes)
	got.same(t, "disk_bytes/read", want.DiskRead)
	got.same(t, "disk_bytes/write", want.DiskWrite)
}

func TestTaskCountsAsTheWorkerDoes(t *testing.T) {
	s := want(t, taskNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, taskNames, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	before, old := w.quiet(), tg.mark()

	w.do("spin 30")
	if n := w.do("sleep 100 1000")["voluntary"]; n < 100 {
		t.Errorf("100 sleeps were %d switches", n)
	}
	if n := w.do("touch 500")["minor"]; n != 500 {
		t.Errorf("500 pages were %d faults", n)
	}
	after := w.quiet()
	now := tg.mark()
	sameAccount(t, now.since(old), after.since(before))
	now.same(t, "threads", after.Threads)
	now.same(t, "processes", 1)
	now.same(t, "open_files", after.Files)
	lossless(t, s)
}
