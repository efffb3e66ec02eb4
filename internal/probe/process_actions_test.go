package probe

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processActions: "fork N CODE" makes N processes that end at once without another
// program, "children N HOW X" N that are this program and end by "end,CODE" or
// "die,SIGNAL" or after "crowd,THREADS"; both say what wait(2) said. "catch" takes
// all signals, "caught" waits for one, "ignore SIGNAL" does not want it.
func processActions() map[string]action {
	return map[string]action{
		"fork": func(_ *job, args []string) (answer, error) {
			a := answer{}
			for range number(args, 0) {
				pid, err := forkAndEnd(uintptr(number(args, 1)))
				if err != nil {
					return nil, err
				}
				if err := a.wait(pid); err != nil {
					return nil, err
				}
			}
			return a, nil
		},
		"children": func(_ *job, args []string) (answer, error) {
			a := answer{}
			for range number(args, 0) {
				pid, err := syscall.ForkExec("/proc/self/exe", []string{"child"}, &syscall.ProcAttr{
					Env: append(os.Environ(), childEnv+"="+args[1]), Files: []uintptr{0, 1, 2}})
				if err != nil {
					return nil, err
				}
				if err := a.wait(pid); err != nil {
					return nil, err
				}
			}
			return a, nil
		},
		"end": func(_ *job, args []string) (answer, error) { os.Exit(number(args, 0)); return nil, nil },
		"die": func(_ *job, args []string) (answer, error) {
			if err := unix.Kill(os.Getpid(), unix.Signal(number(args, 0))); err != nil {
				return nil, err
			}
			return nil, unix.Pause()
		},
		"kill": func(_ *job, args []string) (answer, error) {
			return nil, unix.Kill(number(args, 0), unix.Signal(number(args, 1)))
		},
		"crowd":  func(_ *job, args []string) (answer, error) { return nil, crowd(number(args, 0)) },
		"noexec": noExec,
		"catch":  func(*job, []string) (answer, error) { signal.Notify(signals); return nil, nil },
		"caught": func(*job, []string) (answer, error) {
			select {
			case s := <-signals:
				return answer{"signal": int64(s.(syscall.Signal))}, nil
			case <-time.After(removeLimit):
				return nil, errors.New("no signal came")
			}
		},
		"ignore": func(_ *job, args []string) (answer, error) {
			signal.Ignore(syscall.Signal(number(args, 0)))
			return nil, nil
		},
	}
}

var signals = make(chan os.Signal, 64)

// wait takes in a process's end and counts it by its result.
func (a answer) wait(pid int) error {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		switch {
		case err != nil:
			return err
		case status.Signaled():
			a["signal"]++
		case status.ExitStatus() != 0:
			a["error"]++
		default:
			a["ok"]++
		}
		return nil
	}
}

// forkAndEnd makes a process that ends by exit(2), not exit_group(2), at once.
//
//go:norace
func forkAndEnd(code uintptr) (int, error) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		for {
			unix.RawSyscall(unix.SYS_EXIT, code, 0, 0)
		}
	}
	return int(pid), nil
}

// crowd returns while n threads of this process are running, so that all of them
// end together with it.
func crowd(n int) error {
	runtime.GOMAXPROCS(n + 1)
	var ready sync.WaitGroup
	for range n {
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			ready.Done()
			for {
				_ = unix.Getppid()
			}
		}()
	}
	ready.Wait()
	return nil
}

// noExec tries to execute what is not there.
func noExec(_ *job, args []string) (answer, error) {
	for range number(args, 0) {
		if err := unix.Exec("/nothing/here", nil, nil); err != unix.ENOENT {
			return nil, fmt.Errorf("exec: %w", err)
		}
	}
	return nil, nil
}
