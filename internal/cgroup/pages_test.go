package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// onDisk makes a file of so many MiB on a disk, not in the page cache. The VM has its own
// disk; elsewhere temporary files may be in memory, the sources are not.
func onDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := "."
	if os.Getenv("VIPERPROBE_VM") == "1" {
		dir = "/disk"
	}
	f, err := os.CreateTemp(dir, ".viperprobe-pages-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Cleanup(func() { os.Remove(f.Name()) })
	if _, err := f.Write(make([]byte, mib<<20)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	drop(t, f)
	path, err := filepath.Abs(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func drop(t *testing.T, f *os.File) {
	t.Helper()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// slack is how far the kernel's per-CPU batches let memory.stat be off, for each CPU
// (MEMCG_CHARGE_BATCH pages), twice since charges have their own.
func slack() uint64 { return uint64(2 * 64 * os.Getpagesize() * runtime.NumCPU()) }

// near fails the test when a value is further than slack from what it must be.
func near(t *testing.T, what string, got, want uint64) {
	t.Helper()
	if off := max(got, want) - min(got, want); off > slack() {
		t.Errorf("%s is %d, want %d within %d", what, got, want, slack())
	}
}

// Pages of a file that are read once are in the cache and not in the working set; those
// that are read again are in both, at once where the kernel keeps no generations.
func TestPagesOfAFile(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "memory_file_bytes") {
		return
	}
	kerneltest.Exact(t, "memory_file_bytes", "memory_working_set_bytes")
	const mib = 24
	t.Setenv(fileVariable, onDisk(t, mib))
	w := start(t, h, at)
	w.do(t, "burn 1")
	f := func() map[string]uint64 { return read(t, open(t, h, at, families())) } // new ones read everything
	before := f()
	w.do(t, fmt.Sprint("cached ", mib))
	once := f()
	w.do(t, fmt.Sprint("cached ", mib))
	w.do(t, fmt.Sprint("cached ", mib))
	again := f()
	near(t, "memory_file_bytes", once["memory_file_bytes"]-before["memory_file_bytes"], mib<<20)
	near(t, "memory_file_bytes of what is there", again["memory_file_bytes"], once["memory_file_bytes"])
	near(t, "the working set after one look", once["memory_working_set_bytes"], before["memory_working_set_bytes"])
	if generations, _ := os.ReadFile("/sys/kernel/mm/lru_gen/enabled"); !strings.HasPrefix(string(generations), "0x0000") && len(generations) > 0 {
		dir := controllerDir(h, "memory", at)
		near(t, "the working set", again["memory_working_set_bytes"], fileNumber(t, dir+"/memory.current", "")-fileNumber(t, dir+"/memory.stat", "inactive_file"))
		return
	}
	near(t, "the working set's growth", again["memory_working_set_bytes"]-before["memory_working_set_bytes"], mib<<20)
}

// A file that does not fit into the limit is read from the disk again, page by page: each
// is a refault, but for those that were evicted too long ago to count. memory.high is met
// where there is one.
func TestPagesThatDoNotFit(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "memory_refaults") {
		return
	}
	kerneltest.Exact(t, "memory_refaults", "psi_memory_some", "psi_memory_full")
	const mib, limit = 48, 24
	t.Setenv(fileVariable, onDisk(t, mib))
	w := start(t, h, at)
	w.do(t, "burn 1")
	dir, prefix := controllerDir(h, "memory", at), ""
	if h.Hybrid() {
		prefix = "total_"
		setLimit(t, dir, fmt.Sprint(limit<<20), "memory.limit_in_bytes")
	} else {
		kerneltest.Exact(t, "memory_high_events")
		setLimit(t, dir, fmt.Sprint(limit<<20), "memory.high")
	}
	f := open(t, h, at, families())
	w.do(t, fmt.Sprint("cached ", mib))
	before := read(t, f)
	w.do(t, fmt.Sprint("cached ", mib))
	pages := uint64(mib << 20 / os.Getpagesize())
	var got map[string]uint64
	poll(t, "numbers of the files", func() bool {
		got = read(t, open(t, h, at, families()))
		return got["memory_refaults file"] == fileNumber(t, dir+"/memory.stat", prefix+"workingset_refault_file")
	})
	if n := got["memory_refaults file"] - before["memory_refaults file"]; n == 0 || n > pages {
		t.Errorf("%d refaults of %d pages that were read again", n, pages)
	}
	if !h.Hybrid() {
		if n := got["memory_high_events"]; n == 0 || n != fileNumber(t, dir+"/memory.events", "high") {
			t.Errorf("%d times over memory.high, the file says %d", n, fileNumber(t, dir+"/memory.events", "high"))
		}
	}
	pressure(t, h, at, "memory")
}
