package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/metric"
)

// fileNumber reads one number of a real file, as the oracle.
func fileNumber(t testing.TB, path, key string) uint64 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(strings.TrimSuffix(line, " kB\n"))
		if key != "" && (len(fields) < 2 || fields[0] != key) {
			continue
		}
		n, err := strconv.ParseUint(fields[len(fields)-1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("%s has no %s", path, key)
	return 0
}

// What a process does in a cgroup of this machine is what we read: CPU time as
// the kernel tells it by getrusage's clock, memory by the pages touched.
func TestReadThisMachine(t *testing.T) {
	h := find(t, "/")
	kerneltest.Exact(t, "cpu_usage", "cpu_user", "cpu_system", "memory_anon_bytes")
	at := makeCgroup(t, h)
	w := start(t, h, at)
	f := open(t, h, at, families())
	own := func() uint64 {
		return 1024 * fileNumber(t, fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid), "RssAnon:")
	}
	before, ownBefore := read(t, f), own()
	w.do(t, "touch 24")
	w.do(t, "burn 50")
	after, ownAfter := read(t, f), own()
	if d := after["cpu_usage"] - before["cpu_usage"]; d < uint64(50*time.Millisecond) || d > uint64(30*time.Second) {
		t.Errorf("50 ms of CPU time and what touching took came out as %v", time.Duration(d))
	}
	if split := after["cpu_user"] + after["cpu_system"]; split > after["cpu_usage"] || split+2000 < after["cpu_usage"] {
		t.Errorf("user and system are %d of %d ns", split, after["cpu_usage"])
	}
	if h.Check(families())["memory_anon_bytes"] == "" {
		// The kernel counts in batches, and leaves them to whoever folds them already: then what
		// was charged before comes late, and the next pages tell.
		var d, grown int64
		right := func() bool {
			d, grown = int64(after["memory_anon_bytes"]-before["memory_anon_bytes"]), int64(ownAfter-ownBefore)
			return d >= 23<<20 && max(d-grown, grown-d) <= 2<<20
		}
		for range 3 {
			if right() {
				break
			}
			before, ownBefore = after, ownAfter
			w.do(t, "touch 24")
			after, ownAfter = read(t, f), own()
		}
		if !right() {
			t.Errorf("24 MiB touched came out as %d bytes of anonymous memory, the process grew by %d", d, grown)
		}
		if after["memory_working_set_bytes"] > after["memory_current_bytes"] || after["memory_working_set_bytes"] < after["memory_anon_bytes"]/2 {
			t.Errorf("working set %d of %d bytes", after["memory_working_set_bytes"], after["memory_current_bytes"])
		}
	}
	if n, ok := after["pids"]; ok && n == 0 {
		t.Error("no pids")
	}
}

// With the workload at rest, every value is that of the file.
func TestReadingsEqualFiles(t *testing.T) {
	h := find(t, "/")
	kerneltest.Exact(t, "cpu_usage", "memory_current_bytes", "memory_anon_bytes")
	at := makeCgroup(t, h)
	start(t, h, at).do(t, "touch 4")
	got := read(t, open(t, h, at, families()))
	if want := 1000 * fileNumber(t, h.V2+at+"/cpu.stat", "usage_usec"); got["cpu_usage"] > want || got["cpu_usage"] == 0 {
		t.Errorf("cpu_usage %d, then the file said %d", got["cpu_usage"], want)
	}
	dir, v1 := h.V1["memory"]
	current, stat, anon := "/memory.usage_in_bytes", "/memory.stat", "total_rss"
	if !v1 {
		dir, current, anon = h.V2, "/memory.current", "anon"
	}
	if _, err := os.Stat(dir + at + stat); err != nil {
		t.Logf("no memory controller here: %v", err)
		return
	}
	poll(t, "memory at rest", func() bool {
		got = read(t, open(t, h, at, families()))
		return got["memory_current_bytes"] == fileNumber(t, dir+at+current, "") && got["memory_anon_bytes"] == fileNumber(t, dir+at+stat, anon)
	})
}

func TestLimitsOnThisMachine(t *testing.T) {
	h := find(t, "/")
	kerneltest.Exact(t, "cpu_limit", "memory_limit_bytes", "pids_limit")
	at := makeCgroup(t, h)
	set := map[string]string{"cpu.max": "50000 100000", "memory.max": "67108864", "pids.max": "50"}
	if h.Hybrid() {
		set = map[string]string{"cpu.cfs_quota_us": "50000", "memory.limit_in_bytes": "67108864", "pids.max": "50"}
	}
	want := map[string]uint64{}
	for file, value := range set {
		controller, _, _ := strings.Cut(file, ".")
		dir := h.V2
		if m := h.V1[controller]; m != "" {
			dir = m
		}
		if err := os.WriteFile(filepath.Join(dir, at, file), []byte(value), 0); err != nil {
			t.Logf("no %s here: %v", file, err)
			continue
		}
		want[controller] = map[string]uint64{"cpu": 5e8, "memory": 64 << 20, "pids": 50}[controller]
	}
	got := read(t, open(t, h, at, families("cpu_limit", "memory_limit_bytes", "pids_limit")))
	for controller, family := range map[string]string{"cpu": "cpu_limit", "memory": "memory_limit_bytes", "pids": "pids_limit"} {
		if got[family] != want[controller] {
			t.Errorf("%s is %d, want %d", family, got[family], want[controller])
		}
	}
	if len(want) == 0 {
		t.Fatal("this machine has no controllers at all")
	}
}

func TestReadOfARemovedCgroup(t *testing.T) {
	h := find(t, "/")
	for _, names := range [][]string{{}, {"cpu_usage"}, {"cpu_limit"}} {
		at := makeCgroup(t, h)
		f := open(t, h, at, families(names...))
		if _, err := f.Read(nil); err != nil {
			t.Fatal(err)
		}
		removeGroups(t, at)
		var err error
		for range rareEvery + 1 { // a target of limits only is asked about at the rare reads
			if _, err = f.Read(nil); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrGone) {
			t.Errorf("%v: got %v", names, err)
		}
		if _, err := h.Open(at, families()); !errors.Is(err, ErrGone) {
			t.Errorf("opening it: %v", err)
		}
	}
}

// What another hierarchy still has is read when v2 has let go.
func TestReadOfAHalfRemovedCgroup(t *testing.T) {
	h := find(t, "/")
	if h.V1["pids"] == "" {
		t.Log("one hierarchy only: there are no halves")
		return
	}
	at := makeCgroup(t, h)
	f := open(t, h, at, families("cpu_usage", "pids_limit"))
	read(t, f)
	if err := errors.Join(os.Remove(h.V2+at), os.WriteFile(h.V1["pids"]+at+"/pids.max", []byte("9"), 0)); err != nil {
		t.Fatal(err)
	}
	r, err := f.Read(nil)
	if got := values(t, r)["pids_limit"]; !errors.Is(err, ErrGone) || got != 9 {
		t.Errorf("got %v, %v", values(t, r), err)
	}
}

func TestNodeOfThisMachine(t *testing.T) {
	h := find(t, "/")
	f, err := h.OpenNode(families())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	low := fileNumber(t, "/proc/vmstat", "workingset_refault_file")
	got := read(t, f)
	if high := fileNumber(t, "/proc/vmstat", "workingset_refault_file"); got["memory_refaults file"] < low || got["memory_refaults file"] > high {
		t.Errorf("refaults %d, not between %d and %d", got["memory_refaults file"], low, high)
	}
	if got["memory_current_bytes"] == 0 || got["memory_current_bytes"] >= got["memory_limit_bytes"] || got["pids"] < 2 || got["cpu_usage"] == 0 {
		t.Errorf("got %v", got)
	}
}

func TestCheckThisMachine(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	answer := h.Check(append(families(), &metric.Family{Name: "other", Tier: metric.Event}))
	if len(answer) != len(families()) {
		t.Errorf("%d answers for %d families", len(answer), len(families()))
	}
	for _, always := range []string{"cpu_usage", "cpu_user", "cpu_system"} {
		if answer[always] != "" {
			t.Errorf("%s: %s", always, answer[always])
		}
	}
	got := map[string]bool{}
	r, err := open(t, h, at, families()).Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range r {
		got[r.Family.Name] = true
	}
	for name, reason := range answer {
		if reason != "" {
			t.Logf("%s: %s", name, reason)
		}
		if got[name] && reason != "" {
			t.Errorf("%s was read, and is said not to work: %s", name, reason)
		}
	}
}
