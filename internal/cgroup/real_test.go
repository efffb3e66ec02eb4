package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// makeCgroup makes a cgroup of the test's own in every hierarchy of this
// machine, and takes it away in the end.
func makeCgroup(t testing.TB, h *Host) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("making cgroups needs root: run the tests as root")
	}
	at := fmt.Sprintf("/viperprobe-cgroup-test-%d-%d", os.Getpid(), made.Add(1))
	makeGroups(t, h, at)
	return at
}

var made atomic.Int64

func mounts(h *Host) []string {
	all := []string{h.V2}
	for _, m := range h.V1 {
		all = append(all, m)
	}
	return all
}

func makeGroups(t testing.TB, h *Host, at string) {
	t.Helper()
	for _, m := range mounts(h) {
		if err := os.Mkdir(m+at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { removeGroups(t, at) })
}

// enable hands the controllers of a v2 cgroup down to its children.
func enable(t testing.TB, h *Host, at string) {
	t.Helper()
	for _, c := range []string{"cpu", "memory", "io", "pids"} {
		if err := os.WriteFile(h.V2+at+"/cgroup.subtree_control", []byte("+"+c), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// hierarchies are all mount points of cgroups, also those that we do not read:
// runc makes groups in each.
func hierarchies(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, " - cgroup") {
			all = append(all, strings.Fields(line)[4])
		}
	}
	return all
}

// removeGroups waits for the last process to have left.
func removeGroups(t testing.TB, at string) {
	t.Helper()
	for _, m := range hierarchies(t) {
		poll(t, "removal of "+m+at, func() bool {
			err := os.Remove(m + at)
			return err == nil || errors.Is(err, fs.ErrNotExist)
		})
	}
}

func poll(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come about", what)
		}
	}
}

// A workload is a process of this test binary in cgroups of its own. It does
// what it is told, line by line, and answers when it has done it.
type workload struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out interface{ Read([]byte) (int, error) }
}

const (
	workloadVariable = "VIPERPROBE_TEST_WORKLOAD"
	fileVariable     = "VIPERPROBE_TEST_CACHED" // the file that a workload reads
)

func TestMain(m *testing.M) {
	if os.Getenv(workloadVariable) != "" {
		work()
		return
	}
	before := descriptors()
	code := m.Run()
	if after := descriptors(); code == 0 && after > before {
		fmt.Fprintf(os.Stderr, "%d descriptors leaked\n", after-before)
		code = 1
	}
	os.Exit(code)
}

// descriptors counts the open files that a leak of this package would add to.
func descriptors() int {
	n := 0
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/dev/") {
			n++
		}
	}
	return n
}

// start runs a workload in the cgroup at, which it joins in every hierarchy
// before it does anything.
func start(t testing.TB, h *Host, at string) *workload {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), workloadVariable+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &workload{cmd, in, out}
	t.Cleanup(w.end)
	for _, m := range mounts(h) {
		if err := os.WriteFile(m+at+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// end lets the workload end. It may be called twice.
func (w *workload) end() {
	w.in.Close()
	_ = w.cmd.Wait()
}

func (w *workload) do(t testing.TB, what string) {
	t.Helper()
	if _, err := fmt.Fprintln(w.in, what); err != nil {
		t.Fatal(err)
	}
	var answer string
	if _, err := fmt.Fscanln(w.out, &answer); err != nil || answer != "done" {
		t.Fatalf("workload %q: %q, %v", what, answer, err)
	}
}

const directBlock = 64 << 10

// direct reads the first MiB of a file, else of the disk, past the page cache.
func direct(file string, mib int) error {
	fd, err := unix.Open(cmp.Or(file, "/dev/vda"), unix.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b, err := unix.Mmap(-1, 0, directBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	for at := 0; err == nil && at < mib<<20; at += directBlock {
		_, err = unix.Pread(fd, b, int64(at))
	}
	return err
}

func touch(b []byte) {
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i]++
	}
}

// cached reads the first MiB of a file through the page cache, page by page, so that
// nothing is read ahead of it.
func cached(file string, mib int) error {
	fd, err := unix.Open(file, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM); err != nil {
		return err
	}
	page := make([]byte, os.Getpagesize())
	for at := 0; at < mib<<20; at += len(page) {
		if _, err := unix.Pread(fd, page, int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// work obeys: "burn MILLISECONDS" of CPU time, "touch MEBIBYTES" of memory,
// "again MEBIBYTES" touches the last of that again, "cached MEBIBYTES" of the file in the
// environment, "direct MEBIBYTES" of it or of the disk past the page cache.
func work() {
	var b []byte
	for {
		var what string
		var n int
		if _, err := fmt.Scanln(&what, &n); err != nil {
			return
		}
		switch what {
		case "burn":
			for end := cpuTimeUsed() + time.Duration(n)*time.Millisecond; cpuTimeUsed() < end; {
			}
		case "direct":
			if err := direct(os.Getenv(fileVariable), n); err != nil {
				fmt.Println(err)
				return
			}
		case "touch":
			// Not from the heap, which the race detector doubles.
			var err error
			if b, err = unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
				return
			}
			touch(b)
		case "again":
			touch(b[:n<<20])
		case "cached":
			if err := cached(os.Getenv(fileVariable), n); err != nil {
				fmt.Println(err)
				return
			}
		}
		fmt.Println("done")
	}
}
