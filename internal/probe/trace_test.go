package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A trace is the kernel's own text about events (tracefs): an oracle that shares
// nothing with our programs but the hook. Each has a buffer of its own.
type trace struct{ dir string }

// A traced is one event as the kernel wrote it.
type traced struct {
	thread int
	event  string
	text   string
}

// newTrace makes a buffer for events ("tlb/tlb_flush"), not recording yet.
func newTrace(t testing.TB, events ...string) trace {
	t.Helper()
	at := "/sys/kernel/tracing"
	if _, err := os.Stat(at + "/instances"); err != nil {
		at = t.TempDir()
		if err := unix.Mount("tracefs", at, "tracefs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	tr := trace{filepath.Join(at, "instances", fmt.Sprintf("viperprobe-test-%d-%d", os.Getpid(), groupNumber.Add(1)))}
	if err := os.Mkdir(tr.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		if !poll(removeLimit, func() bool { err = os.Remove(tr.dir); return err == nil }) {
			t.Errorf("remove %s: %v", tr.dir, err)
		}
	})
	tr.write(t, "tracing_on", "0")
	tr.write(t, "buffer_size_kb", "8192")
	for _, e := range events {
		tr.write(t, "events/"+e+"/enable", "1")
	}
	return tr
}

func (tr trace) write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(tr.dir, file), []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

func (tr trace) start(t testing.TB) { tr.write(t, "tracing_on", "1") }
func (tr trace) stop(t testing.TB)  { tr.write(t, "tracing_on", "0") }

var traceLine = regexp.MustCompile(`-(\d+) +\[\d+\] \S+ +[\d.]+: (\w+): ?(.*)`)

// events are what was recorded.
func (tr trace) events(t testing.TB) (found []traced) {
	t.Helper()
	text := procFile(t, tr.dir, "trace")
	if strings.Contains(text, "LOST") {
		t.Fatal("the kernel's trace lost events: make its buffer larger")
	}
	for line := range strings.Lines(text) {
		m := traceLine.FindStringSubmatch(line)
		if m != nil {
			found = append(found, traced{int(parse(t, m[1])), m[2], m[3]})
		}
	}
	return found
}

// traced are the events of the worker's threads that are there still.
func (w *worker) traced(tr trace) (mine []traced) {
	w.t.Helper()
	for _, e := range tr.events(w.t) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", w.pid, e.thread)); err == nil {
			mine = append(mine, e)
		}
	}
	return mine
}

// field reads "name=number" or "name:number" of an event.
func (e traced) field(t testing.TB, name string) (n int64) {
	t.Helper()
	m := regexp.MustCompile(`\b` + name + `[=:] ?(-?\d+)`).FindStringSubmatch(e.text)
	if m == nil {
		t.Fatalf("%s has no %s: %s", e.event, name, e.text)
	}
	if _, err := fmt.Sscan(m[1], &n); err != nil {
		t.Fatal(err)
	}
	return n
}
