package cgroup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/metric"
)

// families are the rows of the file tier.
func families(names ...string) []*metric.Family {
	return slices.DeleteFunc(catalogue.Families(), func(f *metric.Family) bool {
		return f.Tier != metric.File || len(names) > 0 && !slices.Contains(names, f.Name)
	})
}

// values makes readings comparable: "family label label" to value.
func values(t testing.TB, readings []metric.Reading) map[string]uint64 {
	t.Helper()
	m := map[string]uint64{}
	for _, r := range readings {
		key := strings.TrimRight(r.Family.Name+" "+r.Labels[0]+" "+r.Labels[1], " ")
		if _, twice := m[key]; twice {
			t.Errorf("%s came twice", key)
		}
		m[key] = r.Value
	}
	return m
}

func open(t testing.TB, h *Host, at string, fams []*metric.Family) *Files {
	t.Helper()
	f, err := h.Open(at, fams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func read(t testing.TB, f *Files) map[string]uint64 {
	t.Helper()
	r, err := f.Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	return values(t, r)
}

func cpuTimeUsed() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

func TestReadV2(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	got := read(t, open(t, h, "/system.slice/redis.service", families()))
	want := map[string]uint64{
		"cpu_usage": 1500e3, "cpu_user": 1000e3, "cpu_system": 500e3,
		"cpu_periods": 93, "cpu_throttled_periods": 79, "cpu_throttled_time": 8000001e3,
		"cpu_limit": 2e8, "cpu_request": 987_644_174,
		"memory_current_bytes": 9437184, "memory_anon_bytes": 1675264, "memory_file_bytes": 7151616,
		"memory_working_set_bytes": 9437184 - 5242880, "memory_refaults anon": 21, "memory_refaults file": 22,
		"memory_swap_bytes": 4096, "memory_high_events": 2, "memory_max_events": 3, "memory_oom_kills": 5,
		"memory_limit_bytes": 67108864,
		"io_bytes vda read":  4096, "io_bytes vda write": 8192, "io_operations vda read": 1, "io_operations vda write": 2,
		"io_bytes 9:9 read": 1, "io_bytes 9:9 write": 0, "io_bytes 9:9 discard": 512,
		"io_operations 9:9 read": 1, "io_operations 9:9 write": 0, "io_operations 9:9 discard": 1,
		"pids": 6, "pids_limit": 9362,
		"psi_cpu_some": 7627545e3, "psi_cpu_full": 12e3, "psi_memory_some": 13e3, "psi_memory_full": 14e3,
		"psi_io_some": 15e3, "psi_io_full": 16e3,
	}
	for key := range want {
		name, _, _ := strings.Cut(key, " ")
		kerneltest.Exact(t, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is not limited has no limit, and the default weight is nobody's request.
func TestReadUnlimited(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	got := read(t, open(t, h, "/system.slice/idle.service", families()))
	if diff := cmp.Diff(map[string]uint64{"cpu_usage": 0, "cpu_user": 0, "cpu_system": 0}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadHybrid(t *testing.T) {
	h := find(t, unpack(t, "hybrid"))
	got := read(t, open(t, h, "/k8s-e2e/kubepods/burstable/pod"+uid+"/"+idA, families()))
	want := map[string]uint64{
		"cpu_usage": 1500e3, "cpu_user": 1000e3, "cpu_system": 500e3,
		"cpu_periods": 93, "cpu_throttled_periods": 79, "cpu_throttled_time": 8000001234,
		"cpu_limit": 2e8, "cpu_request": 102e9 / 1024,
		"memory_current_bytes": 12713984, "memory_anon_bytes": 1847296, "memory_file_bytes": 9818112,
		"memory_working_set_bytes": 12713984 - 9166848, "memory_refaults anon": 7, "memory_refaults file": 2373,
		"memory_swap_bytes": 8192, "memory_max_events": 9, "memory_oom_kills": 1,
		"io_bytes vda read": 4096, "io_bytes vda write": 8192, "io_operations vda read": 1, "io_operations vda write": 2,
		"pids": 6, "psi_cpu_some": 11e3, "psi_cpu_full": 12e3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An ancestor's v1 group counts its other children too: better no value.
func TestReadLeavesAncestorsOut(t *testing.T) {
	h := find(t, unpack(t, "hybrid"))
	got := read(t, open(t, h, "/system.slice/unaccounted.service", families()))
	if diff := cmp.Diff(map[string]uint64{"cpu_usage": 7000}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadNode(t *testing.T) {
	f, err := find(t, unpack(t, "v2")).OpenNode(families())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := map[string]uint64{
		"cpu_usage": 1537e7, "cpu_user": 1010e7, "cpu_system": 527e7, "cpu_limit": 3e9,
		"memory_current_bytes": 3000000 << 10, "memory_anon_bytes": 700000 << 10, "memory_file_bytes": 1600000 << 10,
		"memory_working_set_bytes": 2000000 << 10, "memory_swap_bytes": 500000 << 10, "memory_limit_bytes": 8000000 << 10,
		"memory_refaults anon": 17, "memory_refaults file": 109757, "memory_oom_kills": 3,
		"io_bytes vda read": 4000 * 512, "io_bytes vda write": 800 * 512, "io_bytes vda discard": 64 * 512,
		"io_operations vda read": 100, "io_operations vda write": 50, "io_operations vda discard": 7,
		"io_bytes nvme0n1 read": 40 * 512, "io_bytes nvme0n1 write": 0,
		"io_operations nvme0n1 read": 5, "io_operations nvme0n1 write": 0,
		"pids": 486, "pids_limit": 4194304,
		"psi_cpu_some": 1000e3, "psi_cpu_full": 0, "psi_memory_some": 2000e3, "psi_memory_full": 3000e3, "psi_io_some": 4000e3, "psi_io_full": 5000e3,
	}
	if diff := cmp.Diff(want, read(t, f)); diff != "" {
		t.Error(diff)
	}
}

// Every row of the catalogue's file tier has a file on cgroup v2, and nothing is
// read that the catalogue does not know.
func TestCatalogue(t *testing.T) {
	known := map[string]bool{}
	for _, f := range families() {
		known[f.Name] = true
		kerneltest.Hook(t, f.Name, "file")
	}
	served := map[string]bool{}
	h := &Host{}
	hybrid := &Host{V1: map[string]string{"cpu": "/c", "memory": "/m", "blkio": "/b", "pids": "/p"}}
	for _, list := range [][]source{h.sources(), hybrid.sources(), nodeSources, {interfaceSource}} {
		for _, s := range list {
			for _, f := range s.fields {
				served[f.family] = true
				if !known[f.family] {
					t.Errorf("%s: family %s is not in the catalogue", s.file, f.family)
				}
			}
		}
	}
	for name := range known {
		if !served[name] && name != Restarts {
			t.Errorf("family %s has no file", name)
		}
	}
}

// The device label is bounded; what is beyond goes to "other" and is counted.
func TestDevicesAreBounded(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	for i := range maxDevices {
		if got := h.device(8, uint32(i)).name; got != "8:"+strconv.Itoa(i) {
			t.Fatalf("device %d is %q", i, got)
		}
	}
	if got := h.device(9, 0).name; got != "other" || h.DevicesDropped() != 1 {
		t.Errorf("one more is %q, %d dropped", got, h.DevicesDropped())
	}
	if got := h.device(8, 1).name; got != "8:1" || h.DevicesDropped() != 1 {
		t.Errorf("a known one is %q", got)
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	f := open(t, h, "/system.slice/redis.service", families())
	buf, err := f.Read(make([]metric.Reading, 0, 200))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range f.files {
		if o.rhythm != always {
			continue
		}
		b := make([]byte, firstBuffer)
		n, err := readWhole(&b, o.fds[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		if a := testing.AllocsPerRun(100, func() { buf, _ = o.parse(b[:n], &o, f, buf[:0]) }); a != 0 {
			t.Errorf("%s: %v allocations", o.file, a)
		}
	}
}

func ExampleHost_Place() {
	p := new(Host).Place("/system.slice/docker-" + idB + ".scope")
	fmt.Println(p.Role, p.Kind, p.Runtime, p.ContainerID[:12])
	// Output: own container docker b4fc5a8a5f7a
}
