package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// works reports whether a family works on this machine, and says so if not.
func works(t *testing.T, h *Host, family string) bool {
	t.Helper()
	reason := h.Check(families(family))[family]
	if reason != "" {
		t.Logf("%s does not work here: %s", family, reason)
	}
	return reason == ""
}

// controllerDir is where a controller's files of a cgroup are.
func controllerDir(h *Host, controller, at string) string {
	if m := h.V1[controller]; m != "" {
		return m + at
	}
	return h.V2 + at
}

// setLimit writes the first of some files that this machine has.
func setLimit(t *testing.T, dir, value string, files ...string) {
	t.Helper()
	for _, f := range files {
		if os.WriteFile(filepath.Join(dir, f), []byte(value), 0) == nil {
			return
		}
	}
	t.Fatalf("none of %v in %s takes %q", files, dir, value)
}

func TestThrottling(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "cpu_throttled_time") {
		return
	}
	dir := controllerDir(h, "cpu", at)
	kerneltest.Exact(t, "cpu_periods", "cpu_throttled_periods", "cpu_throttled_time")
	if h.Hybrid() {
		setLimit(t, dir, "5000", "cpu.cfs_quota_us")
	} else {
		setLimit(t, dir, "5000 100000", "cpu.max")
	}
	f := open(t, h, at, families())
	read(t, f)
	start(t, h, at).do(t, "burn 50")
	time, scale := "throttled_usec", uint64(1000)
	if h.Hybrid() {
		time, scale = "throttled_time", 1
	}
	poll(t, "equal numbers", func() bool {
		got := read(t, f)
		return got["cpu_throttled_periods"] > 0 && got["cpu_throttled_time"] > 0 &&
			got["cpu_periods"] == fileNumber(t, dir+"/cpu.stat", "nr_periods") &&
			got["cpu_throttled_periods"] == fileNumber(t, dir+"/cpu.stat", "nr_throttled") &&
			got["cpu_throttled_time"] == scale*fileNumber(t, dir+"/cpu.stat", time)
	})
}

func TestTasksAreCounted(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "pids") {
		return
	}
	f := open(t, h, at, families("pids", "cpu_usage"))
	kerneltest.Exact(t, "pids")
	if got := read(t, f)["pids"]; got != 0 {
		t.Errorf("%d tasks in an empty cgroup", got)
	}
	w := start(t, h, at)
	w.do(t, "burn 1")
	poll(t, "as many as in /proc", func() bool {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", w.cmd.Process.Pid))
		return err == nil && read(t, f)["pids"] == uint64(len(tasks))
	})
}

// The OOM killer ends a process that goes over its limit, and we say so once.
func TestOOMKill(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "memory_oom_kills") {
		return
	}
	w := start(t, h, at)
	kerneltest.Exact(t, "memory_oom_kills", "memory_max_events")
	w.do(t, "burn 1")
	dir := controllerDir(h, "memory", at)
	setLimit(t, dir, strconv.Itoa(64<<20), "memory.max", "memory.limit_in_bytes")
	if _, err := os.Stat(dir + "/memory.swap.max"); err == nil {
		setLimit(t, dir, "0", "memory.swap.max")
	}
	f := open(t, h, at, families())
	if got := read(t, f); got["memory_oom_kills"] != 0 || got["memory_limit_bytes"] != 64<<20 {
		t.Fatalf("before: %v", got)
	}
	if _, err := fmt.Fprintln(w.in, "touch 128"); err != nil {
		t.Fatal(err)
	}
	poll(t, "the kill", func() bool { return read(t, f)["memory_oom_kills"] == 1 })
	if got := read(t, f)["memory_max_events"]; got == 0 {
		t.Error("the limit was never met")
	}
}

// Direct reads are counted to the byte, by device.
func TestDirectIO(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "io_bytes") {
		return
	}
	f := open(t, h, at, families())
	kerneltest.Exact(t, "io_bytes", "io_operations")
	w := start(t, h, at)
	w.do(t, "burn 1")
	before := read(t, f)
	w.do(t, "direct 4")
	after := read(t, f)
	if d := after["io_bytes vda read"] - before["io_bytes vda read"]; d != 4<<20 {
		t.Errorf("4 MiB came out as %d bytes: %v", d, after)
	}
	if d := after["io_operations vda read"] - before["io_operations vda read"]; d != 4<<20/directBlock {
		t.Errorf("%d operations", d)
	}
}
