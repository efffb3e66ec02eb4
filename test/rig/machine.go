package rig

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// Begin finds the machine's cgroups and waits until nobody else who tests or measures has
// programs attached, which holds until unlock.
func Begin() (host *cgroup.Host, unlock func(), err error) {
	if host, err = cgroup.Find("/"); err != nil {
		return nil, nil, err
	}
	unlock, err = kerneltest.Lock()
	return host, unlock, err
}

// Machine says on what was measured.
func Machine() (string, error) {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("Kernel %s, %d CPUs", strings.TrimSpace(string(release)), runtime.NumCPU()), err
}

// Median is the upper median; 0 of nothing.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v))[len(v)/2]
}
