package probe

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func taskActions() map[string]action {
	return map[string]action{
		"spin": func(_ *job, args []string) (answer, error) { // ms of CPU time
			return nil, spin(time.Duration(number(args, 0)) * time.Millisecond)
		},
		"sleep": func(_ *job, args []string) (answer, error) { // times, ns each
			before := usage()
			for range number(args, 0) {
				ts := unix.NsecToTimespec(int64(number(args, 1)))
				for unix.Nanosleep(&ts, &ts) == unix.EINTR {
				}
			}
			return answer{"voluntary": usage()["thread voluntary"] - before["thread voluntary"]}, nil
		},
		"touch":   touch, // pages
		"park":    func(_ *job, args []string) (answer, error) { return nil, park(number(args, 0)) },
		"pin":     func(_ *job, args []string) (answer, error) { return nil, pin(number(args, 0)) },
		"threads": func(_ *job, args []string) (answer, error) { return nil, threads(number(args, 0), args[1:]) },
		"spawn":   func(_ *job, args []string) (answer, error) { return nil, spawn(number(args, 0), args[1]) },
		"exec":    func(_ *job, args []string) (answer, error) { return nil, execAgain(args[0] == "leader") },
		"write": func(_ *job, args []string) (answer, error) { // calls, bytes each, to /dev/null
			return nil, readOrWrite(os.DevNull, unix.O_WRONLY, unix.Write, number(args, 0), number(args, 1))
		},
		"read": func(_ *job, args []string) (answer, error) { // calls, bytes each, from /dev/zero
			return nil, readOrWrite("/dev/zero", unix.O_RDONLY, unix.Read, number(args, 0), number(args, 1))
		},
		"wait": func(_ *job, args []string) (answer, error) { // ms, as one waits for IO
			return nil, waitUninterruptibly(time.Duration(number(args, 0)) * time.Millisecond)
		},
		"direct": func(_ *job, args []string) (answer, error) { // path, 4096-byte blocks written and read past the page cache
			if err := direct(args[0], unix.O_WRONLY|unix.O_CREAT, unix.Pwrite, number(args, 1)); err != nil {
				return nil, err
			}
			return nil, direct(args[0], unix.O_RDONLY, unix.Pread, number(args, 1))
		},
	}
}

// threads starts n threads that do an action and end.
func threads(n int, command []string) error {
	do, faults := actions()[command[0]], make(chan error)
	for range n {
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			_, err := do(&job{fds: map[string]int{}}, command[1:])
			faults <- err
		}()
	}
	var all []error
	for range n {
		all = append(all, <-faults)
	}
	return errors.Join(all...)
}

// waitUninterruptibly is a vfork whose child sleeps and ends: its parent waits for it
// in the state in which others wait for a disk. Of Go nothing may run in the child.
func waitUninterruptibly(d time.Duration) error {
	ts := unix.NsecToTimespec(int64(d))
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	var status unix.WaitStatus
	_, err := unix.Wait4(int(pid), &status, 0, nil)
	return err
}

// childEnv makes this binary a process that does one action and ends.
const childEnv = "VIPERPROBE_TEST_CHILD"

// spawn runs n processes, one after another, that each do one action, its words
// joined by commas.
func spawn(n int, command string) error {
	for range n {
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"child"}, &syscall.ProcAttr{
			Env: append(os.Environ(), childEnv+"="+command), Files: []uintptr{0, 1, 2}})
		if err != nil {
			return err
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != 0 {
			return fmt.Errorf("child: %v, exit status %d", err, status.ExitStatus())
		}
	}
	return nil
}

func serveChild() int {
	command := strings.Split(os.Getenv(childEnv), ",")
	if _, err := actions()[command[0]](&job{fds: map[string]int{}}, command[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// execAgain starts this binary anew in this process, from its first thread or from
// another; the answer is given by the new program.
func execAgain(leader bool) error {
	const program = "/proc/self/exe"
	env := append(os.Environ(), greetEnv+"=1")
	if leader {
		return unix.Exec(program, []string{"worker"}, env)
	}
	fault := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			fault <- errors.New("on the first thread")
			return
		}
		fault <- unix.Exec(program, []string{"worker"}, env)
	}()
	return <-fault
}

func readOrWrite(path string, flags int, call func(int, []byte) (int, error), calls, bytes int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, bytes)
	for range calls {
		if n, err := call(fd, buf); err != nil || n != bytes {
			return fmt.Errorf("%s: %d of %d bytes: %w", path, n, bytes, err)
		}
	}
	return nil
}

// direct moves blocks of 4096 bytes past the page cache.
func direct(path string, flags int, call func(int, []byte, int64) (int, error), blocks int) error {
	fd, err := unix.Open(path, flags|unix.O_DIRECT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const size = 4096
	buf, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(buf)
	for i := range blocks {
		if n, err := call(fd, buf, int64(i)*size); err != nil || n != size {
			return fmt.Errorf("%s: %d bytes at block %d: %w", path, n, i, err)
		}
	}
	return nil
}

// park makes threads that do nothing, for good.
func park(n int) error {
	debug.SetMaxThreads(n + 1000)
	var ready sync.WaitGroup
	for range n {
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			ready.Done()
			_ = unix.Pause()
		}()
	}
	ready.Wait()
	return nil
}

// pin binds every thread of this process to one CPU; new ones inherit it.
func pin(cpu int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var one unix.CPUSet
	one.Set(cpu)
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &one); err != nil {
			return err
		}
	}
	return nil
}

// spin burns CPU time of this thread.
func spin(d time.Duration) error {
	var start, now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &start); err != nil {
		return err
	}
	for now.Nano()-start.Nano() < int64(d) {
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
			return err
		}
	}
	return nil
}

// touch writes to fresh pages, one fault each.
func touch(j *job, args []string) (answer, error) {
	for _, pages := range []int{1, number(args, 0)} { // the first brings the code of the second into memory
		b, err := unix.Mmap(-1, 0, pages*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return nil, err
		}
		if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL {
			return nil, err
		}
		faults := writeEach(b)
		j.keep = append(j.keep, b)
		if pages > 1 {
			return answer{"minor": faults}, nil
		}
	}
	return nil, nil
}

// writeEach writes to each page and says how many faults its thread had meanwhile.
func writeEach(b []byte) int64 {
	var before, after unix.Rusage // on the stack, which is touched already
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &before)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &after)
	return after.Minflt - before.Minflt
}
