package probe

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallActions: "calls N" makes N system calls of each class, and N that fail for
// some; "futex N NS" waits N times for NS in vain, finds N times that there is
// nothing to wait for and wakes nobody N times; "compat N" calls as 32-bit programs do.
func syscallActions() map[string]action {
	return map[string]action{
		"calls":  func(_ *job, args []string) (answer, error) { return nil, callEach(number(args, 0)) },
		"compat": func(_ *job, args []string) (answer, error) { return nil, call32(number(args, 0)) },
		"timer":  func(_ *job, args []string) (answer, error) { return readTimer(number(args, 0), number(args, 1)) },
		"futex": func(_ *job, args []string) (answer, error) {
			var word uint32
			ts, sum := unix.NsecToTimespec(int64(number(args, 1))), uint64(0)
			for range number(args, 0) {
				began := monotonic()
				if errno := futex(&word, 0, 0, &ts); errno != unix.ETIMEDOUT {
					return nil, fmt.Errorf("wait: %w", errno)
				}
				sum += monotonic() - began
				if errno := futex(&word, 0, 1, &ts); errno != unix.EAGAIN {
					return nil, fmt.Errorf("wait for another value: %w", errno)
				}
				if errno := futex(&word, 1, 1, nil); errno != 0 {
					return nil, fmt.Errorf("wake: %w", errno)
				}
			}
			return answer{"ns": int64(sum)}, nil
		},
	}
}

func futex(word *uint32, op, value uintptr, ts *unix.Timespec) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), op, value, uintptr(unsafe.Pointer(ts)), 0, 0)
	return errno
}

func callEach(n int) error {
	zero, err := unix.Open("/dev/zero", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(zero)
	b := make([]byte, 16)
	for range n {
		_, e1 := unix.Read(zero, b)
		_, e2 := unix.Write(zero, b)
		fd, e3 := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		e4 := unix.Close(fd)
		_, e5 := unix.Poll(nil, 0)
		m, e6 := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
		e7 := unix.Munmap(m)
		sleep := unix.Timespec{Nsec: 1}
		e8 := unix.Nanosleep(&sleep, nil)
		unix.Getpid()
		unix.Getuid()
		for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
			if err != nil {
				return fmt.Errorf("call %d: %w", i, err)
			}
		}
		_, e1 = unix.Read(-1, b)
		_, e2 = unix.Open("/nothing/here", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		_, e3 = unix.GetsockoptInt(zero, unix.SOL_SOCKET, unix.SO_TYPE)
		if e1 != unix.EBADF || e2 != unix.ENOENT || e3 != unix.ENOTSOCK {
			return fmt.Errorf("calls that must fail: %v, %v, %v", e1, e2, e3)
		}
	}
	return nil
}

// call32 makes the 32-bit getpid, whose number means writev to a 64-bit program:
// mov $20, %eax; int $0x80; ret.
func call32(n int) error {
	code, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	copy(code, []byte{0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3})
	if err := unix.Mprotect(code, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return err
	}
	entry := &code[0]
	function := &entry
	call := *(*func())(unsafe.Pointer(&function))
	for range n {
		call()
	}
	return nil
}

// readTimer waits n times for a timer: least is how much of it is in the reads at
// any rate, most is what the reads can have taken.
func readTimer(n, ns int) (answer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var b [8]byte
	var least, most int64
	for range n {
		began := int64(monotonic())
		end := unix.NsecToTimespec(began + int64(ns))
		if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: end}, nil); err != nil {
			return nil, err
		}
		reads := int64(monotonic())
		if _, err := unix.Read(fd, b[:]); err != nil {
			return nil, err
		}
		most += int64(monotonic()) - reads
		// Preempted between the clock and the read: less of the wait is in it.
		least += max(0, began+int64(ns)-reads)
	}
	return answer{"least": least, "most": most}, nil
}
