package probe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// reclaimActions: "cache PATH" reads a file to its end through the page cache, from
// the disk each time; "throw PATH BYTES" writes so many, in pieces of 64 KiB.
func reclaimActions() map[string]action {
	return map[string]action{
		"cache": func(_ *job, args []string) (answer, error) {
			fd, err := unix.Open(args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, err
			}
			defer unix.Close(fd)
			if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
				return nil, err
			}
			b, sum, began := make([]byte, 1<<16), int64(0), monotonic()
			for {
				n, err := unix.Read(fd, b)
				if n == 0 || err != nil {
					return answer{"bytes": sum, "ns": int64(monotonic() - began)}, err
				}
				sum += int64(n)
			}
		},
		"throw": func(_ *job, args []string) (answer, error) {
			fd, err := unix.Open(args[0], unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
			if err != nil {
				return nil, err
			}
			defer unix.Close(fd)
			b, began := make([]byte, 1<<16), monotonic()
			for n := number(args, 1); n > 0; n -= len(b) {
				if _, err := unix.Write(fd, b); err != nil {
					return nil, err
				}
			}
			return answer{"ns": int64(monotonic() - began)}, nil
		},
	}
}

// holeFile makes a file with nothing in it on a file system of the page cache.
func holeFile(t testing.TB, size int64) string {
	t.Helper()
	dir := "/disk"
	if os.Getenv("VIPERPROBE_VM") != "1" {
		dir = t.TempDir()
	}
	f, err := os.CreateTemp(dir, "hole")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Cleanup(func() { os.Remove(f.Name()) })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// limitMemory leaves the worker room for so many bytes more.
func limitMemory(t testing.TB, g *group, w *worker, room uint64) {
	t.Helper()
	dir, v1 := controllerGroup(t, "memory", g, w.pid, w.kill)
	now, limit := "memory.current", "memory.max"
	if v1 {
		now, limit = "memory.usage_in_bytes", "memory.limit_in_bytes"
	}
	used := parse(t, strings.TrimSpace(procFile(t, dir, now)))
	if err := os.WriteFile(filepath.Join(dir, limit), fmt.Append(nil, used+room), 0); err != nil {
		t.Fatal(err)
	}
}

var reclaimNames = []string{"reclaim_latency", "reclaimed_pages"}

// reclaims are a thread's reclaims in the kernel's own trace: how many ended, and
// with how many pages.
func reclaims(t *testing.T, events []traced, kind string) (n, pages uint64) {
	for _, e := range events {
		if e.event == "mm_vmscan_"+kind+"_reclaim_end" {
			n++
			pages += uint64(e.field(t, "nr_reclaimed"))
		}
	}
	return n, pages
}

var reclaimEvents = []string{"vmscan/mm_vmscan_direct_reclaim_end", "vmscan/mm_vmscan_memcg_reclaim_end"}

func TestReclaimOfACgroupAtItsLimit(t *testing.T) {
	s := want(t, reclaimNames...)
	kerneltest.Exact(t, "reclaim_latency", "reclaimed_pages")
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, reclaimNames, g), newTarget(t, s, reclaimNames, og)
	w, idle := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
	file := holeFile(t, 48<<20)
	idle.do("hello")
	limitMemory(t, g, w, 8<<20)
	tr := newTrace(t, reclaimEvents...)
	tr.start(t)
	old := tg.mark()
	took := uint64(w.do("cache %s", file)["ns"])
	w.quiet()
	m := tg.mark().since(old)
	tr.stop(t)
	mine := w.traced(tr)
	n, pages := reclaims(t, mine, "memcg")
	if n == 0 || pages < (48-8)<<20/uint64(os.Getpagesize())/2 {
		t.Fatalf("%d reclaims of %d pages for 48 MiB in 8", n, pages)
	}
	m.same(t, "reclaim_latency/memcg/count", n)
	m.same(t, "reclaimed_pages/memcg", pages)
	n, pages = reclaims(t, mine, "direct")
	m.same(t, "reclaim_latency/direct/count", n)
	m.same(t, "reclaimed_pages/direct", pages)
	if sum := m["reclaim_latency/memcg/sum"]; sum == 0 || sum > took {
		t.Errorf("held up for %d ns in sum, the worker took %d", sum, took)
	}
	for name, v := range other.mark() {
		if v != 0 {
			t.Errorf("another target's %s = %d", name, v)
		}
	}
	lossless(t, s)
}

// smallDirty makes the kernel hold up whoever dirties more than a few MiB of a file
// system or, before 6.2, of a cgroup.
func smallDirty(t *testing.T, dir string, g *group, w *worker) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	bdi := fmt.Sprintf("/sys/class/bdi/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	set := func(file, value string) error { return os.WriteFile(filepath.Join(bdi, file), []byte(value), 0) }
	if set("strict_limit", "1") != nil {
		limitMemory(t, g, w, 8<<20)
		return
	}
	t.Cleanup(func() {
		if err := errors.Join(set("strict_limit", "0"), set("max_ratio", "100")); err != nil {
			t.Error(err)
		}
	})
	if err := set("max_bytes", fmt.Sprint(2<<20)); err != nil {
		t.Fatal(err)
	}
}

func TestWritebackStallsAreThePausesImposed(t *testing.T) {
	if os.Getenv("VIPERPROBE_VM") != "1" {
		needLoop(t)
	}
	const name = "writeback_stall"
	s := want(t, name)
	kerneltest.Exact(t, name)
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, []string{name}, g), newTarget(t, s, []string{name}, og)
	fs := frozen(t)
	w := startWorker(t, workerOptions{Cgroup: g})
	smallDirty(t, fs.dir, g, w)
	tr := newTrace(t, "writeback/balance_dirty_pages")
	tr.start(t)
	old := tg.mark()
	file := filepath.Join(fs.dir, "viperprobe-thrown")
	t.Cleanup(func() { os.Remove(file) })
	var n, sum, took uint64
	for round := 0; n == 0 && round < 20; round++ { // a fast disk may get by without
		took += uint64(w.do("throw %s %d", file, 10<<20)["ns"])
		for _, e := range w.traced(tr) {
			if ms := e.field(t, "pause"); ms > 0 {
				n, sum = n+1, sum+uint64(ms)*1e6
			}
		}
	}
	m := tg.mark().since(old)
	if n == 0 {
		t.Fatal("the kernel imposed no pause")
	}
	m.same(t, name+"/count", n)
	m.same(t, name+"/sum", sum) // a tick is 4 ms on these kernels
	if sum > took+n*jiffy() {
		t.Errorf("paused for %d ns in sum, the worker took %d", sum, took)
	}
	other.mark().same(t, name+"/count", 0)
	lossless(t, s)
}
