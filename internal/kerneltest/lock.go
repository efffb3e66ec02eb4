// Package kerneltest is for tests that attach programs to the running kernel: turns, and a program whose calls are known.
package kerneltest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Lock waits until no other test process on this machine has programs attached,
// and keeps it so until unlock or the end of the process. The build kernel loses
// more hits of tracepoints the busier it is, and counts no miss (docs/decisions.md,
// 13): exact tests of two packages must not run at once.
func Lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "viperprobe-kernel.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the kernel for tests: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the kernel for tests: %w", err)
	}
	return func() { f.Close() }, nil
}

// Locked is a *testing.M that holds the lock while its tests run.
type Locked struct{ M interface{ Run() int } }

// Run runs the tests and gives their exit code.
func (l Locked) Run() int {
	unlock, err := Lock()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer unlock()
	return l.M.Run()
}
