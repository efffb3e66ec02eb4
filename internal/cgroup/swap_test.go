//go:build vm

package cgroup

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// Swap is the whole machine's: only a VM may get some.

// Swapped memory is what the process has in swap, and comes back by refaults.
func TestSwappedPages(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	kerneltest.Exact(t, "memory_swap_bytes", "memory_refaults")
	swapOn(t, 48) // twice what has to go there: a worker that finds none is killed
	w := start(t, h, at)
	w.do(t, "burn 1")
	dir := controllerDir(h, "memory", at)
	setLimit(t, dir, fmt.Sprint(24<<20), "memory.max")
	w.do(t, "touch 40")
	f := open(t, h, at, families())
	var got map[string]uint64
	poll(t, "the number of the file", func() bool {
		got = read(t, f)
		return got["memory_swap_bytes"] == fileNumber(t, dir+"/memory.swap.current", "")
	})
	near(t, "memory_swap_bytes", got["memory_swap_bytes"], 1024*fileNumber(t, fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid), "VmSwap:"))
	if got["memory_swap_bytes"] < 16<<20 {
		t.Errorf("%d bytes of 40 MiB in 24 are in swap", got["memory_swap_bytes"])
	}
	w.do(t, "again 40")
	poll(t, "refaults", func() bool {
		n := read(t, f)["memory_refaults anon"]
		return n > 0 && n == fileNumber(t, dir+"/memory.stat", "workingset_refault_anon")
	})
}

// swapOn adds a file of so many MiB to the machine's swap (mkswap(8), version 1).
func swapOn(t *testing.T, mib int) {
	t.Helper()
	file, page := onDisk(t, mib), os.Getpagesize()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	header := make([]byte, page)
	binary.NativeEndian.PutUint32(header[1024:], 1)
	binary.NativeEndian.PutUint32(header[1028:], uint32(mib<<20/page-1))
	copy(header[page-10:], "SWAPSPACE2")
	if _, err := f.Write(header); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	name, err := unix.BytePtrFromString(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SWAPON, uintptr(unsafe.Pointer(name)), 0, 0); errno != 0 {
		t.Fatalf("swapon %s: %v", file, errno)
	}
	t.Cleanup(func() {
		if _, _, errno := unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(name)), 0, 0); errno != 0 {
			t.Errorf("swapoff %s: %v", file, errno)
		}
	})
}
