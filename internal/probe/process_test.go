package probe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var processNames = []string{"forks", "execs", "exits", "exit_codes", "oom_victims", "signals"}

// wantProcess makes a set with the process families, exits by the given rung and
// those below it.
func wantProcess(t testing.TB, rung int) *Set {
	t.Helper()
	families := catalogue.Families()
	for _, f := range families {
		if f.Name == "exits" || f.Name == "exit_codes" {
			f.Rungs = f.Rungs[rung:]
		}
	}
	s, err := Open(Options{Families: families, Object: catalogue.Object, Cgroup2: cgroupRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	works(t, s, processNames...)
	return s
}

// nothing fails the test when a mark is not all 0.
func (m mark) nothing(t testing.TB, whose string) {
	t.Helper()
	for name, v := range m {
		if v != 0 {
			t.Errorf("%s has %s = %d", whose, name, v)
		}
	}
}

func TestProcessesAreThoseWaitedFor(t *testing.T) {
	for rung := range 2 {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			s := wantProcess(t, rung)
			kerneltest.Exact(t, "forks", "execs", "exits", "exit_codes")
			g, og := newGroup(t, nil), newGroup(t, nil)
			tg, other := newTarget(t, s, processNames, g), newTarget(t, s, processNames, og)
			idle := startWorker(t, workerOptions{Cgroup: og})
			w := startWorker(t, workerOptions{Cgroup: g}) // by this process, which is in neither
			idle.quiet()
			before := w.quiet()
			old, oldOther := tg.mark(), other.mark()
			old.same(t, "forks/process", 1)
			old.same(t, "execs", 1)
			sum := answer{}
			for _, command := range []string{"fork 200 0", "fork 100 7", "children 1 end,0", "children 1 end,3", "children 2 die,9", "children 4 crowd,8"} {
				for result, n := range w.do("%s", command) {
					sum[result] += n
				}
			}
			w.do("noexec 9")
			w.quiet()
			m := tg.mark().since(old)
			for result, want := range map[string]uint64{"ok": 205, "error": 101, "signal": 2} {
				if uint64(sum[result]) != want {
					t.Fatalf("wait said %v", sum)
				}
				m.same(t, "exits/"+result, want)
			}
			for code, want := range map[string]uint64{"0": 205, "1": 0, "137": 2, "other": 101} {
				m.same(t, "exit_codes/"+code, want)
			}
			m.same(t, "forks/process", 308)
			m.same(t, "execs", 8)
			m.same(t, "signals/kill", 2)
			m.same(t, "oom_victims", 0)
			if n := m["forks/thread"]; n < 4*8 {
				t.Errorf("forks/thread = %d", n)
			}
			other.mark().since(oldOther).nothing(t, "another target")

			// Threads: what the process has more of.
			old, before = tg.mark(), w.quiet()
			w.do("park 50")
			after := w.quiet()
			m = tg.mark().since(old)
			m.same(t, "forks/thread", after.Threads-before.Threads)
			m.same(t, "forks/process", 0)
			old = tg.mark()
			w.kill() // many threads, one process, one signal
			m = tg.mark().since(old)
			m.same(t, "exits/signal", 1)
			m.same(t, "signals/kill", 1)
			lossless(t, s)
		})
	}
}

// Codes as a shell would tell them, of processes that end by themselves or are killed.
func TestExitCodesAreThoseOfAShell(t *testing.T) {
	kerneltest.Exact(t, "exit_codes")
	s := want(t, "exit_codes")
	g := newGroup(t, nil)
	tg := newTarget(t, s, []string{"exit_codes"}, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	for how, code := range map[string]string{"end,0": "0", "end,1": "1", "end,2": "2", "end,126": "126", "end,127": "127",
		"end,130": "130", "end,134": "134", "end,3": "other", "die,9": "137", "die,15": "143", "end,139": "139", "end,255": "other"} {
		old := tg.mark()
		w.do("children 2 %s", how)
		for name, n := range tg.mark().since(old) {
			if want := map[bool]uint64{true: 2}[name == "exit_codes/"+code]; n != want {
				t.Errorf("%s: %s = %d, want %d", how, name, n, want)
			}
		}
	}
	lossless(t, s)
}

// What an exec makes of a process's threads is not its end.
func TestProcessExecFromAThread(t *testing.T) {
	for rung := range 2 {
		s := wantProcess(t, rung)
		g := newGroup(t, nil)
		tg := newTarget(t, s, processNames, g)
		w := startWorker(t, workerOptions{Cgroup: g})
		w.do("park 20")
		w.quiet()
		old := tg.mark()
		w.do("exec thread")
		w.quiet()
		m := tg.mark().since(old)
		m.same(t, "execs", 1)
		m.same(t, "forks/process", 0)
		for _, result := range []string{"ok", "error", "signal"} {
			m.same(t, "exits/"+result, 0)
		}
		if state := w.quit(); !state.Success() {
			t.Fatal(state)
		}
		tg.mark().since(old).same(t, "exits/ok", 1)
		lossless(t, s)
	}
}

func TestSignalsBelongToWhoGetsThem(t *testing.T) {
	s := want(t, processNames...)
	kerneltest.Exact(t, "signals")
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, processNames, g), newTarget(t, s, processNames, og)
	w, sender := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
	w.do("catch")
	w.quiet()
	sender.quiet()
	old, oldOther := tg.mark(), other.mark()
	sent := map[string][]unix.Signal{
		"term": {unix.SIGTERM}, "fault": {unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS}, "abort": {unix.SIGABRT},
		"pipe": {unix.SIGPIPE}, "child": {unix.SIGCHLD}, "timer": {unix.SIGALRM, unix.SIGVTALRM}, "other": {unix.SIGHUP, unix.SIGUSR1, unix.SIGINT, unix.SIGURG, 40},
	}
	for _, class := range sent {
		for _, sig := range class {
			for range 10 {
				sender.do("kill %d %d", w.pid, sig)
				if got := w.do("caught")["signal"]; got != int64(sig) {
					t.Fatalf("sent %v, the worker caught %d", sig, got)
				}
			}
		}
	}
	w.do("ignore %d", unix.SIGUSR2)
	for range 10 {
		sender.do("kill %d %d", w.pid, unix.SIGUSR2)
	}
	m := tg.mark().since(old)
	for class, all := range sent {
		m.same(t, "signals/"+class, uint64(10*len(all)))
	}
	m.same(t, "signals/kill", 0)
	quiet := other.mark().since(oldOther)
	delete(quiet, "forks/thread") // Go's runtime may start one
	quiet.nothing(t, "the sender")
	lossless(t, s)
}

// Who asks for memory is another target than who dies for it.
func TestOOMVictimIsNotWhoAsked(t *testing.T) {
	if strings.Count(procFile(t, "/proc", "swaps"), "\n") > 1 {
		t.Fatal("with swap nobody dies: switch it off")
	}
	s := want(t, processNames...)
	kerneltest.Exact(t, "oom_victims")
	parent := newGroup(t, nil)
	g, og := newGroup(t, parent), newGroup(t, parent)
	tg, asker := newTarget(t, s, processNames, g), newTarget(t, s, processNames, og)
	victim, w := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
	dir, v1 := controllerGroup(t, "memory", parent, victim.pid, victim.kill)
	limit, now, kills := "memory.max", "memory.current", "memory.events"
	if v1 {
		limit, now, kills = "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"
		t.Cleanup(w.kill) // before its cgroup goes
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, w.pid), 0); err != nil {
			t.Fatal(err)
		}
	} else if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		t.Fatal(err)
	}
	victim.do("touch %d", 64<<20/os.Getpagesize())
	victim.quiet()
	prefer := func(pid, score int) error {
		return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), fmt.Append(nil, score), 0)
	}
	if err := prefer(victim.pid, 1000); err != nil {
		t.Fatal(err)
	}
	// The victim's memory comes back some time after its death, and nobody else may
	// die meanwhile; without CAP_SYS_RESOURCE the asker may be the second.
	if err := prefer(w.pid, -1000); err != nil && !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
	used := parse(t, strings.TrimSpace(procFile(t, dir, now)))
	if err := os.WriteFile(filepath.Join(dir, limit), fmt.Append(nil, used+16<<20), 0); err != nil {
		t.Fatal(err)
	}
	old, oldAsker := tg.mark(), asker.mark()
	w.tell("touch %d", 40<<20/os.Getpagesize())
	if _, _, err := receive(w.control); err != nil {
		_ = w.cmd.Wait()
	}
	fields := strings.Fields(procFile(t, dir, kills))
	second := parse(t, fields[slices.Index(fields, "oom_kill")+1]) - 1
	if second > 1 {
		t.Fatalf("the kernel says %v", fields)
	}
	_ = victim.cmd.Wait() // says that it was killed
	m, none := tg.mark().since(old), asker.mark().since(oldAsker)
	m.same(t, "oom_victims", 1)
	m.same(t, "signals/kill", 1)
	m.same(t, "exits/signal", 1)
	none.same(t, "oom_victims", second)
	none.same(t, "signals/kill", second)
	none.same(t, "exits/signal", second)
	lossless(t, s)
}

func TestProcessOfAClosedGate(t *testing.T) {
	s := want(t, processNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, processNames, g)
	if err := s.Switch(tg.slot, nil); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("fork 20 0")
	w.do("children 2 die,9")
	w.kill()
	tg.mark().nothing(t, "a target that nothing is on for")
}
