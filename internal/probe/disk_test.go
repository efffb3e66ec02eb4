package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A disk is a block device for a test.
type disk struct {
	path string
	name string // in /sys/block
}

// testDisk is the VM's blank disk, or a loop device: nothing else uses either.
func testDisk(t testing.TB) disk {
	t.Helper()
	if os.Getenv("VIPERPROBE_VM") == "1" {
		return disk{"/dev/vda", "vda"}
	}
	return smallLoop(t)
}

// smallLoop makes a loop device of 8 MiB over a file that can have 4 MiB.
func smallLoop(t testing.TB) disk {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return newLoop(t, filepath.Join(dir, "disk"), 8<<20)
}

// needLoop wants a kernel with loop devices.
func needLoop(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Fatal("this kernel has no loop devices, and so no disk that fails or waits as we say: load module loop (modprobe loop)")
	}
}

// newLoop makes a loop device over a fresh file of that many bytes.
func newLoop(t testing.TB, file string, size int64) disk {
	t.Helper()
	back, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if err := back.Truncate(size); err != nil {
		t.Fatal(err)
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	var d disk
	var loop *os.File
	eventually(t, "a free loop device", func() bool { // another process may take the one that we were told
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Fatal(err)
		}
		d = disk{fmt.Sprintf("/dev/loop%d", n), fmt.Sprintf("loop%d", n)}
		if loop, err = os.OpenFile(d.path, os.O_RDWR, 0); err != nil {
			t.Fatal(err)
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(back.Fd())})
		if err != nil {
			loop.Close()
		}
		return err == nil
	})
	t.Cleanup(func() {
		if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
			t.Error(err)
		}
		loop.Close()
	})
	return d
}

// settle waits until the disk has no request: who waits for one is woken before the
// disk has counted it.
func (d disk) settle(t testing.TB) {
	t.Helper()
	eventually(t, "no request in flight on "+d.name, func() bool {
		return strings.Join(strings.Fields(procFile(t, filepath.Join("/sys/block", d.name), "inflight")), " ") == "0 0"
	})
}

// A diskStat is what the kernel counts of a device: sectors are given in bytes, times
// are in ms.
type diskStat struct{ Reads, Read, ReadTime, Writes, Written, WriteTime, Flushes uint64 }

// stat reads it when the device is at rest.
func (d disk) stat(t testing.TB) (s diskStat) {
	t.Helper()
	d.settle(t)
	f := strings.Fields(procFile(t, filepath.Join("/sys/block", d.name), "stat"))
	s.Reads, s.Read, s.ReadTime = parse(t, f[0]), parse(t, f[2])*512, parse(t, f[3])
	s.Writes, s.Written, s.WriteTime = parse(t, f[4]), parse(t, f[6])*512, parse(t, f[7])
	s.Flushes = parse(t, f[15])
	return s
}

// ioGroup makes a cgroup that block IO is charged to and gives it the target's
// slot: the v2 cgroup itself, or on hybrid hosts one of the blkio hierarchy. join
// moves a process into it, or into a cgroup below it that has no slot of its own.
func ioGroup(t testing.TB, tg *target, g *group) (join func(pid int)) {
	t.Helper()
	mount, hierarchy := blkio(t)
	if mount == "" {
		return func(pid int) { g.add(t, pid) }
	}
	path := filepath.Join(mount, filepath.Base(g.path))
	below := filepath.Join(path, "below", "it")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range []string{below, filepath.Dir(below), path} {
			var err error
			if !poll(removeLimit, func() bool { err = unix.Rmdir(p); return err == nil }) {
				t.Errorf("remove cgroup %s: %v", p, err)
			}
		}
	})
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if err := tg.set.SetCgroup1(hierarchy, st.Ino, tg.slot); err != nil {
		t.Fatal(err)
	}
	return func(pid int) {
		if err := os.WriteFile(filepath.Join(below, "cgroup.procs"), fmt.Append(nil, pid), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// blkio is where the v1 hierarchy of block IO is mounted, and its number.
func blkio(t testing.TB) (mount string, hierarchy int) {
	t.Helper()
	for line := range strings.Lines(procFile(t, "/proc/self", "mountinfo")) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " - ")
		if strings.HasPrefix(right, "cgroup ") && strings.HasSuffix(right, "blkio") {
			mount = strings.Fields(left)[4]
		}
	}
	for line := range strings.Lines(procFile(t, "/proc/self", "cgroup")) {
		if number, rest, _ := strings.Cut(line, ":"); strings.HasPrefix(rest, "blkio:") {
			hierarchy = int(parse(t, number))
		}
	}
	return mount, hierarchy
}

// diskActions: "disk read|write PATH TIMES BYTES" past the page cache, "disk dirty
// PATH BYTES" into it, "disk flush PATH TIMES", "disk discard PATH BYTES".
func diskActions() map[string]action {
	return map[string]action{"disk": func(_ *job, args []string) (answer, error) {
		flags := unix.O_RDWR | unix.O_CLOEXEC
		switch args[0] {
		case "read", "write":
			flags |= unix.O_DIRECT
		case "dirty":
			flags |= unix.O_CREAT
		}
		fd, err := unix.Open(args[1], flags, 0o600)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		switch n := number(args, 2); args[0] {
		case "read", "write":
			return moveDirect(fd, args[0] == "write", n, number(args, 3))
		case "dirty":
			_, err = unix.Pwrite(fd, make([]byte, n), 0)
		case "flush":
			for range n {
				if err := unix.Fsync(fd); err != nil {
					return nil, err
				}
			}
		case "discard":
			return nil, discard(fd, n)
		}
		return nil, err
	}}
}

// moveDirect reads or writes block after block and says how long that took and how
// often it went wrong.
func moveDirect(fd int, write bool, times, size int) (answer, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	defer unix.Munmap(b)
	a, began := answer{"errors": 0}, monotonic()
	for i := range times {
		var n int
		if write {
			n, err = unix.Pwrite(fd, b, int64(i)*int64(size))
		} else {
			n, err = unix.Pread(fd, b, int64(i)*int64(size))
		}
		switch {
		case err == unix.EIO || err == unix.ENOSPC:
			a["errors"]++
		case err != nil || n != size:
			return nil, fmt.Errorf("moved %d bytes of %d: %w", n, size, err)
		}
	}
	a["ns"] = int64(monotonic() - began)
	return a, nil
}

func discard(fd, size int) error {
	span := [2]uint64{0, uint64(size)}
	const blkdiscard = 0x1277 // BLKDISCARD of linux/fs.h
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), blkdiscard, uintptr(unsafe.Pointer(&span))); errno != 0 {
		return errno
	}
	return nil
}
