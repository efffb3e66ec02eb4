package cgroup

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// stalled reads the totals of a pressure file in ns.
func stalled(t *testing.T, h *Host, at, what string) (some, full uint64) {
	t.Helper()
	b, err := os.ReadFile(h.V2 + at + "/" + what + ".pressure")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kind, averages string
		var total uint64
		if i := strings.Index(line, "total="); i > 0 {
			kind, averages = line[:4], line[i+len("total="):]
			if _, err := fmt.Sscan(averages, &total); err != nil {
				t.Fatal(err)
			}
		}
		switch kind {
		case "some":
			some = total * 1000
		case "full":
			full = total * 1000
		}
	}
	return some, full
}

// pressure compares what we read of a cgroup with its file, once it is at rest.
func pressure(t *testing.T, h *Host, at, what string) {
	t.Helper()
	f := open(t, h, at, families("psi_"+what+"_some", "psi_"+what+"_full"))
	var some, full uint64
	poll(t, "numbers of "+what+".pressure", func() bool {
		got := read(t, f)
		some, full = stalled(t, h, at, what)
		return got["psi_"+what+"_some"] == some && got["psi_"+what+"_full"] == full
	})
	if some == 0 || full > some {
		t.Errorf("%s: stalled for %d ns, all of it for %d", what, some, full)
	}
}

// A process that is stopped by its CPU limit waits for a CPU, and nothing of the cgroup
// runs meanwhile. It knows how long: the time that passed less what it ran.
func TestPressureOfThrottling(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "psi_cpu_full") || !works(t, h, "cpu_throttled_time") {
		return
	}
	kerneltest.Exact(t, "psi_cpu_some", "psi_cpu_full")
	w := start(t, h, at)
	w.do(t, "burn 1")
	dir := controllerDir(h, "cpu", at)
	if h.Hybrid() {
		setLimit(t, dir, "5000", "cpu.cfs_quota_us")
	} else {
		setLimit(t, dir, "5000 100000", "cpu.max")
	}
	began := time.Now()
	before := read(t, open(t, h, at, families()))
	w.do(t, "burn 50")
	after := read(t, open(t, h, at, families()))
	passed := uint64(time.Since(began))
	pressure(t, h, at, "cpu")
	some := after["psi_cpu_some"] - before["psi_cpu_some"]
	if ran := after["cpu_usage"] - before["cpu_usage"]; some > passed || some < (passed-ran)/2 {
		t.Errorf("waited for a CPU for %d of %d ns, and ran for %d", some, passed, ran)
	}
}

// A process that reads past the page cache waits for the disk, no longer than it takes.
func TestPressureOfReading(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "psi_io_some") {
		return
	}
	kerneltest.Exact(t, "psi_io_some", "psi_io_full")
	t.Setenv(fileVariable, onDisk(t, 16))
	w := start(t, h, at)
	w.do(t, "burn 1")
	began := time.Now()
	before := read(t, open(t, h, at, families()))
	w.do(t, "direct 16")
	after := read(t, open(t, h, at, families()))
	passed := uint64(time.Since(began))
	pressure(t, h, at, "io")
	if some := after["psi_io_some"] - before["psi_io_some"]; some == 0 || some > passed {
		t.Errorf("waited for the disk for %d of %d ns", some, passed)
	}
}

// A request in cores comes back as what was asked for, within a step of the weight.
func TestRequestOnThisMachine(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	if !works(t, h, "cpu_request") {
		return
	}
	kerneltest.Exact(t, "cpu_request")
	dir, shares := controllerDir(h, "cpu", at), uint64(512) // half a core
	if h.Hybrid() {
		setLimit(t, dir, fmt.Sprint(shares), "cpu.shares")
	} else {
		setLimit(t, dir, fmt.Sprint(1+(shares-2)*9999/262142), "cpu.weight")
	}
	const step = 26e6
	if got := read(t, open(t, h, at, families("cpu_request")))["cpu_request"]; max(got, 5e8)-min(got, 5e8) > step {
		t.Errorf("half a core came out as %d", got)
	}
}
