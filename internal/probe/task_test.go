package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// taskNames are the families of object task.
var taskNames = []string{"cpu_time", "runq_delay", "timeslices", "context_switches", "migrations", "page_faults",
	"syscall_io_bytes", "syscall_io_calls", "disk_bytes", "threads", "processes", "open_files", "open_files_used"}

// sameAccount compares an increase with the kernel's other books, to the last
// nanosecond: both read task_struct while nothing of it changes.
func sameAccount(t testing.TB, got mark, want account) {
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
	kerneltest.Exact(t, taskNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, taskNames, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	before, old := w.quiet(), tg.mark()

	w.do("spin 30")
	// A sleep is a switch unless its timer fires on the way to it: hence not shorter.
	if n := w.do("sleep 100 2000000")["voluntary"]; n < 100 {
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

// The fullest process is the target's: open files of the whole limit, half of it, and
// of a limit that was lowered below them.
func TestOpenFilesAgainstTheirLimit(t *testing.T) {
	const name = "open_files_used"
	kerneltest.Exact(t, name)
	s := want(t, name)
	g := newGroup(t, nil)
	tg := newTarget(t, s, []string{name}, g)
	w, emptier := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: g})
	limit := func(w *worker, n uint64) {
		var was unix.Rlimit
		err := unix.Prlimit(w.pid, unix.RLIMIT_NOFILE, nil, &was)
		if err == nil {
			err = unix.Prlimit(w.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: was.Max}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	emptier.quiet()
	open := w.quiet().Files
	limit(emptier, 4000)
	for _, n := range []uint64{2 * open, open, open / 2, 1000} {
		limit(w, n)
		tg.mark().same(t, name, open*1e9/n)
	}
	limit(emptier, 20) // now the fuller
	tg.mark().same(t, name, emptier.quiet().Files*1e9/20)
	lossless(t, s)
}

// Activity stands still while a target's tasks sleep, and grows from tick to tick
// while one runs or waits as one does for a disk.
func TestActivity(t *testing.T) {
	s := want(t, "cpu_time")
	g := newGroup(t, nil)
	tg := newTarget(t, s, []string{"cpu_time"}, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	activity := func() uint64 {
		tg.mark()
		n, ok := s.Activity(tg.slot)
		if !ok {
			t.Fatal("no activity is known")
		}
		return n
	}
	still := func(what string) {
		t.Helper()
		last := activity()
		if !poll(10*time.Second, func() bool {
			before := last
			last = activity()
			return last == before && activity() == last
		}) {
			t.Errorf("%s: activity does not end", what)
		}
	}
	still("a worker that waits for orders")
	for _, order := range []string{"spin 20", "sleep 1 1000000"} {
		before := activity()
		w.do("%s", order)
		if activity() == before {
			t.Errorf("%s is no activity", order)
		}
		still(order)
	}
	w.tell("wait 1500")
	eventually(t, "a wait", func() bool { return w.state(t) == "D" })
	for range 5 {
		before := activity()
		if activity() == before && w.state(t) == "D" {
			t.Error("to wait for a disk is no activity")
		}
	}
	w.answer()
	still("after it waited")
}

// state is the state of the worker's most special task.
func (w *worker) state(t testing.TB) string {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", w.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), ") D ") {
			return "D"
		}
	}
	return ""
}

// sameCPU compares with the cgroup's own cpu.stat, which counts the same
// nanoseconds as sum_exec_runtime but shows whole microseconds: 1 us at each end.
func sameCPU(t testing.TB, got mark, from, to uint64) {
	t.Helper()
	if us := int64(got["cpu_time"] / 1000); us < int64(to-from)-1 || us > int64(to-from)+1 {
		t.Errorf("cpu_time = %d us, cpu.stat has %d", us, to-from)
	}
}

func (g *group) cpu(t testing.TB) uint64 { t.Helper(); return g.file(t, "cpu.stat", "usage_usec") }

// settledCPU ticks until the CPU time that the target gained is the cgroup's: the
// kernel frees tasks some time after their end.
func settledCPU(t testing.TB, tg *target, g *group, from mark, cpu uint64) mark {
	t.Helper()
	var d mark
	if !poll(10*time.Second, func() bool {
		d = tg.mark().since(from)
		return d["cpu_time"]/1000+1 >= g.cpu(t)-cpu
	}) {
		t.Errorf("cpu_time = %d ns, cpu.stat has %d us; failed %d", d["cpu_time"], g.cpu(t)-cpu, kernelCount(t, tg.set, "task", "vp_failed"))
	}
	return d
}

// drained ticks until the target has no task and its CPU time is the cgroup's: the
// kernel frees tasks some time after they were waited for.
func drained(t testing.TB, tg *target, g *group, from mark, cpu uint64) mark {
	t.Helper()
	d := settledCPU(t, tg, g, from, cpu)
	if n := tg.read()["threads"]; n != 0 {
		t.Errorf("%d threads are left", n)
	}
	return d
}

func TestTaskIO(t *testing.T) {
	s := want(t, taskNames...)
	kerneltest.Exact(t, "syscall_io_bytes", "syscall_io_calls", "disk_bytes")
	g := newGroup(t, nil)
	tg := newTarget(t, s, taskNames, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	before, old := w.quiet(), tg.mark()
	w.do("write 300 1000")
	w.do("read 200 4097")
	after := w.quiet()
	d := tg.mark().since(old)
	sameAccount(t, d, after.since(before))
	d.same(t, "syscall_io_bytes/write", 300*1000)
	d.same(t, "syscall_io_calls/write", 300)
	d.same(t, "syscall_io_bytes/read", 200*4097)
	d.same(t, "syscall_io_calls/read", 200)

	path, exact := filepath.Join(t.TempDir(), "file"), false
	if os.Getenv("VIPERPROBE_VM") != "" {
		path, exact = "/dev/vda", true // a blank disk: no file system adds reads of its own
	} else if err := direct(path, unix.O_WRONLY|unix.O_CREAT, unix.Pwrite, 64); err != nil {
		t.Fatal(err)
	}
	before, old = w.quiet(), tg.mark()
	w.do("direct %s 64", path)
	after = w.quiet()
	d = tg.mark().since(old)
	sameAccount(t, d, after.since(before))
	if exact {
		d.same(t, "disk_bytes/write", 64*4096)
		d.same(t, "disk_bytes/read", 64*4096)
	} else if d["disk_bytes/write"] < 64*4096 || d["disk_bytes/read"] < 64*4096 {
		t.Errorf("disk_bytes of 64 blocks written and read past the cache: %v", d)
	}
	lossless(t, s)
}

// A task's last work comes after sched_process_exit (trap 9): the account of the
// zombie has it, and so must we, once, whatever frees the task.
func TestTaskExit(t *testing.T) {
	exactOnce(t, func(t testing.TB) {
		s := want(t, taskNames...)
		g := newGroup(t, nil)
		tg := newTarget(t, s, taskNames, g)
		old, cpu := tg.mark(), g.cpu(t)
		w := startWorker(t, workerOptions{Cgroup: g})
		w.do("touch 300")
		w.do("threads 5 write 10 100")
		w.do("spin 5")
		before := w.quiet()
		sameCPU(t, settledCPU(t, tg, g, old, cpu), cpu, g.cpu(t))
		w.quit()
		d := drained(t, tg, g, old, cpu)
		sameCPU(t, d, cpu, g.cpu(t))
		d.same(t, "syscall_io_bytes/write", before.Write)
		if d["page_faults/minor"] < before.Minor || d["context_switches/voluntary"] < before.Voluntary+5 {
			t.Errorf("less after the exit than before it: %v, %+v", d, before)
		}
		lossless(t, s)
	})
}

func TestTaskThreadsThatEnd(t *testing.T) {
	exactOnce(t, func(t testing.TB) {
		s := want(t, taskNames...)
		g := newGroup(t, nil)
		tg := newTarget(t, s, taskNames, g)
		w := startWorker(t, workerOptions{Cgroup: g})
		before, old, cpu := w.quiet(), tg.mark(), g.cpu(t)
		switches := w.do("usage")
		w.do("threads 20 write 50 10")
		w.do("threads 20 touch 25")
		after := w.quiet()
		d := settledCPU(t, tg, g, old, cpu)
		sameCPU(t, d, cpu, g.cpu(t))
		d.same(t, "syscall_io_bytes/write", 20*50*10)
		d.same(t, "syscall_io_calls/write", 20*50)
		d.same(t, "page_faults/minor", after.Minor-before.Minor)
		ended := w.do("usage")
		// getrusage leaves out the last switch of each thread that ended. A few more or
		// less are Go's own: the question wakes threads, before and after which we look.
		all := ended["voluntary"] + ended["involuntary"] - switches["voluntary"] - switches["involuntary"]
		if got := int64(d["context_switches/voluntary"] + d["context_switches/involuntary"]); got < all+40-20 || got > all+40+20 {
			t.Errorf("%d context switches, getrusage has %d without the last of 40 threads", got, all)
		}
		lossless(t, s)
	})
}

// A thread that is not the first takes over the process's identity at exec: what is
// keyed by pid or start time goes wrong then (trap 9).
func TestTaskExec(t *testing.T) {
	for _, by := range []string{"leader", "other"} {
		t.Run(by, func(t *testing.T) {
			s := want(t, taskNames...)
			g := newGroup(t, nil)
			tg := newTarget(t, s, taskNames, g)
			old, cpu := tg.mark(), g.cpu(t)
			w := startWorker(t, workerOptions{Cgroup: g})
			w.do("write 100 100")
			w.do("touch 300")
			w.quiet()
			tg.mark()
			w.do("exec %s", by)
			w.do("write 50 100")
			after := w.quiet()
			d := settledCPU(t, tg, g, old, cpu)
			sameCPU(t, d, cpu, g.cpu(t))
			d.same(t, "page_faults/minor", after.Minor)
			d.same(t, "syscall_io_bytes/write", 150*100)
			d.same(t, "syscall_io_bytes/read", after.Read)
			d.same(t, "syscall_io_calls/read", after.Reads)
			lossless(t, s)
		})
	}
}

// Processes that are born and die between passes, and beside them.
func TestTaskManyShortProcesses(t *testing.T) {
	exactOnce(t, func(t testing.TB) {
		s := want(t, taskNames...)
		g := newGroup(t, nil)
		tg := newTarget(t, s, taskNames, g)
		old, cpu := tg.mark(), g.cpu(t)
		w := startWorker(t, workerOptions{Cgroup: g})
		const processes, calls, bytes = 20, 7, 100
		w.tell("spawn %d write,%d,%d", processes, calls, bytes)
		if !poll(time.Minute, func() bool { return tg.mark().since(old)["syscall_io_calls/write"] >= processes*calls/2 }) {
			t.Fatal("half of the processes did not count within a minute")
		}
		w.answer()
		w.quit()
		d := drained(t, tg, g, old, cpu)
		sameCPU(t, d, cpu, g.cpu(t))
		d.same(t, "syscall_io_calls/write", processes*calls)
		d.same(t, "syscall_io_bytes/write", processes*calls*bytes)
		lossless(t, s)
	})
}

func TestTaskMovesToAnotherCgroup(t *testing.T) {
	s := want(t, taskNames...)
	a, b := newGroup(t, nil), newGroup(t, nil)
	ta, tb := newTarget(t, s, taskNames, a), newTarget(t, s, taskNames, b)
	w := startWorker(t, workerOptions{Cgroup: a})
	first, oldA, oldB := w.quiet(), ta.mark(), tb.mark()
	w.do("write 10 100")
	w.do("touch 100")
	w.do("spin 5")
	moved := w.quiet()
	ta.mark() // the kernel tells of the first thread alone: the others move at the next pass
	b.add(t, w.pid)
	w.do("write 20 100")
	w.do("touch 200")
	last := w.quiet()
	now := ta.mark()
	sameAccount(t, now.since(oldA), moved.since(first))
	sameAccount(t, tb.mark().since(oldB), last.since(moved))
	now.same(t, "threads", 0)
	lossless(t, s)
}

// A task that no pass has seen is where its parent was, until it is moved.
func TestTaskJoinsAfterItsStart(t *testing.T) {
	s := want(t, taskNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, taskNames, g)
	old := tg.mark()
	w := startWorker(t, workerOptions{})
	w.do("write 10 100")
	before := w.quiet()
	tg.mark()
	g.add(t, w.pid)
	w.do("write 20 100")
	after := w.quiet()
	sameAccount(t, tg.mark().since(old), after.since(before))
	lossless(t, s)
}

// A task older than the agent counts from the attachment on, and what it does while
// nothing is attached counts for nobody.
func TestTaskOlderThanTheAgent(t *testing.T) {
	g := newGroup(t, nil)
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("write 10 100")
	w.quiet()
	s := want(t, taskNames...)
	tg := newTarget(t, s, taskNames, g)
	if err := s.Want(nil); err != nil {
		t.Fatal(err)
	}
	w.do("write 20 100")
	w.do("spin 5")
	before := w.quiet()
	if err := s.Want(tg.families); err != nil {
		t.Fatal(err)
	}
	w.do("write 30 100")
	after := w.quiet()
	sameAccount(t, tg.mark(), after.since(before))
	lossless(t, s)
}

// Without a pass just before the move, what the threads other than the first did
// since the last one goes to the new target: a shift of one interval, never a loss.
func TestTaskMoveBetweenPassesLosesNothing(t *testing.T) {
	s := want(t, taskNames...)
	a, b := newGroup(t, nil), newGroup(t, nil)
	ta, tb := newTarget(t, s, taskNames, a), newTarget(t, s, taskNames, b)
	w := startWorker(t, workerOptions{Cgroup: a})
	first, oldA, oldB := w.quiet(), ta.mark(), tb.mark()
	w.do("threads 3 write 10 100")
	w.do("spin 5")
	w.quiet()
	b.add(t, w.pid)
	w.do("write 20 100")
	last := w.quiet()
	sum := ta.mark().since(oldA)
	for name, n := range tb.read().since(oldB) {
		sum[name] += n
	}
	sum.same(t, "syscall_io_bytes/write", 30*100+20*100)
	sum.same(t, "page_faults/minor", last.since(first).Minor)
	lossless(t, s)
}

// The walk over the kernel's list of threads, and the iterator that stands in for it
// where there are many, see the same tasks.
func TestBothPassesSeeTheSameTasks(t *testing.T) {
	names := []string{"threads", "processes", "open_files", "timeslices"}
	s := want(t, names...)
	o := s.objects["task"]
	walk := o.iters["task_walk"]
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var list *btf.Func
	if has := kernel.TypeByName("bpf_iter_task_new", &list) == nil; has != (walk != nil) {
		t.Fatalf("the kernel lets programs follow its list: %v; there is a walk: %v", has, walk != nil)
	} else if !has {
		return // before 6.7 there is one pass, and nothing to compare
	}
	g := newGroup(t, nil)
	tg := newTarget(t, s, names, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("park 20")
	account := w.quiet()
	o.tasks = 0
	if o.due("task_tick") || !o.due("task_walk") {
		t.Error("few tasks: the iterator is due")
	}
	walked := tg.mark()
	if o.tasks = walkLimit + 1; !o.due("task_tick") || o.due("task_walk") {
		t.Error("many tasks: the walk is due")
	}
	delete(o.iters, "task_walk")
	iterated := tg.mark()
	o.iters["task_walk"] = walk
	for _, m := range []mark{walked, iterated} {
		m.same(t, "threads", account.Threads)
		m.same(t, "processes", 1)
		m.same(t, "open_files", account.Files)
	}
	iterated.since(walked).same(t, "timeslices", 0)
}
