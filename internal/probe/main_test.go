package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// TestMain makes the test binary serve as its own workload (worker_test.go), and
// checks after the tests that nothing was left behind. What the kernel keeps of a
// Set is checked where the Set is closed: see open.
func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(serveWorker())
	}
	os.Exit(kerneltest.Locked{M: leakChecked{m}}.Run())
}

// leakChecked fails when the tests leave descriptors or goroutines behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	before := descriptors()
	goroutines := runtime.NumGoroutine()
	code := l.m.Run()
	var left []string
	ok := poll(5*time.Second, func() bool {
		left = slices.DeleteFunc(descriptors(), func(d string) bool { return slices.Contains(before, d) })
		return len(left) == 0 && runtime.NumGoroutine() <= goroutines
	})
	if !ok && code == 0 {
		stacks := make([]byte, 1<<16)
		stacks = stacks[:runtime.Stack(stacks, true)]
		fmt.Fprintf(os.Stderr, "left behind: descriptors %q, %d goroutines (%d before):\n%s\n", left, runtime.NumGoroutine(), goroutines, stacks)
		code = 1
	}
	return code
}

// descriptors lists what this process has open, by number and name, less what Go's
// runtime opens for itself and keeps.
func descriptors() []string {
	var open []string
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err != nil || strings.Contains(to, "eventpoll") || strings.Contains(to, "eventfd") || strings.Contains(to, "pidfd") {
			continue
		}
		open = append(open, e.Name()+" "+to)
	}
	return open
}

// poll asks until it is true or the time is over.
func poll(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// eventually fails the test when done does not become true.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	if !poll(10*time.Second, done) {
		t.Fatalf("waited 10 s in vain: %s", what)
	}
}
