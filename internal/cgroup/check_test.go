package cgroup

import (
	"os"
	"strings"
	"testing"
)

func TestCheckV2(t *testing.T) {
	for name, reason := range find(t, unpack(t, "v2")).Check(families()) {
		if reason != "" {
			t.Errorf("%s: %s", name, reason)
		}
	}
}

func TestCheckHybrid(t *testing.T) {
	answer := find(t, unpack(t, "hybrid")).Check(families())
	for name, want := range map[string]string{
		"cpu_usage": "", "cpu_throttled_time": "", "cpu_limit": "", "memory_working_set_bytes": "", "pids": "", "psi_cpu_some": "",
		"memory_high_events": "cgroup v1 does not count it",
		"io_bytes":           "only once a throttle limit is set",
		"psi_memory_some":    "this kernel has no memory.pressure",
	} {
		if got := answer[name]; want == "" != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestCheckBroken(t *testing.T) {
	root := unpack(t, "v2")
	h := find(t, root)
	for _, rm := range []string{"proc/pressure", "sys/fs/cgroup/system.slice/redis.service/memory.swap.current"} {
		if err := os.RemoveAll(root + "/" + rm); err != nil {
			t.Fatal(err)
		}
	}
	write(t, h, "/cgroup.controllers", "cpu memory pids\n")
	write(t, h, "/system.slice/redis.service/cpu.stat", "usage_usec 1\n")
	answer := h.Check(families())
	for name, want := range map[string]string{
		"psi_cpu_some":      "boot with psi=1",
		"memory_swap_bytes": "no cgroup has memory.swap.current: turn the controller on in the parents of containers (echo +memory > cgroup.subtree_control)",
		"io_bytes":          "the io controller is on neither cgroup v2 nor v1",
		"cpu_periods":       "no cgroup has cpu.stat nr_periods",
		"cpu_usage":         "", "pids": "",
	} {
		if got := answer[name]; want == "" != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if err := os.RemoveAll(h.V2); err != nil {
		t.Fatal(err)
	}
	if got := h.Check(families("pids"))["pids"]; got == "" {
		t.Error("a hierarchy that is gone works")
	}
}
