package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

const fileName = "file_latency"

// fileActions: "files PATH N" opens a file N times, and each time writes to it by
// three calls, reads it by three and syncs it by two; "nofiles N" makes the same
// calls on what is no regular file, or does not exist.
func fileActions() map[string]action {
	return map[string]action{
		"files": func(_ *job, args []string) (answer, error) {
			began := monotonic()
			for range number(args, 1) {
				if err := useFile(args[0]); err != nil {
					return nil, err
				}
			}
			return answer{"ns": int64(monotonic() - began)}, nil
		},
		"nofiles": func(_ *job, args []string) (answer, error) {
			for range number(args, 0) {
				if err := useNoFiles(); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
	}
}

func useFile(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := make([]byte, 4096)
	_, e1 := unix.Write(fd, b)
	_, e2 := unix.Pwrite(fd, b, 4096)
	_, e3 := unix.Pwritev(fd, [][]byte{b[:10], b[10:]}, 8192)
	_, e4 := unix.Read(fd, b)
	_, e5 := unix.Pread(fd, b, 0)
	_, e6 := unix.Readv(fd, [][]byte{b[:10], b[10:]})
	e7, e8 := unix.Fsync(fd), unix.Fdatasync(fd)
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
		if err != nil {
			return fmt.Errorf("call %d on %s: %w", i, path, err)
		}
	}
	return nil
}

func useNoFiles() error {
	b := make([]byte, 16)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	_, e1 := unix.Write(pipe[1], b)
	_, e2 := unix.Read(pipe[0], b)
	dir, e3 := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	e4 := unix.Fsync(dir)
	if e4 == unix.EINVAL || e4 == unix.EROFS { // of a file system that is in memory
		e4 = nil
	}
	unix.Close(dir)
	for i, err := range []error{e1, e2, e3, e4} {
		if err != nil {
			return fmt.Errorf("call %d on no file: %w", i, err)
		}
	}
	_, e1 = unix.Open("/nothing/here", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	_, e2 = unix.Read(1<<20, b)
	if e1 != unix.ENOENT || e2 != unix.EBADF {
		return fmt.Errorf("calls that must fail: %v, %v", e1, e2)
	}
	return nil
}

func TestFileLatencyIsThatOfFiles(t *testing.T) {
	kerneltest.Exact(t, fileName)
	names := append([]string{fileName}, syscallNames...)
	s := want(t, names...)
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, names, g), newTarget(t, s, names, og)
	w, idle := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
	path := filepath.Join(filepath.Dir(holeFile(t, 0)), fmt.Sprintf("viperprobe-file-%d", os.Getpid()))
	t.Cleanup(func() { os.Remove(path) })
	w.do("files %s 1", path)
	idle.do("files %s 1", path)
	const n = 20
	exactOnce(t, func(t testing.TB) {
		idle.quiet()
		w.quiet()
		old, oldOther := tg.mark(), other.mark()
		took := uint64(w.do("files %s %d", path, n)["ns"])
		w.do("nofiles %d", n)
		w.quiet()
		m, none := tg.mark().since(old), other.mark().since(oldOther)
		var sum uint64
		for operation, calls := range map[string]uint64{"read": 3 * n, "write": 3 * n, "open": n, "fsync": 2 * n} {
			m.same(t, fileName+"/"+operation+"/count", calls)
			none.same(t, fileName+"/"+operation+"/count", 0)
			sum += m[fileName+"/"+operation+"/sum"]
		}
		if sum == 0 || sum > took {
			t.Errorf("%d ns in calls on files, the worker took %d", sum, took)
		}
	})
	lossless(t, s)
}

// A write to a file of a frozen file system waits until the thaw: a latency that we
// know.
func TestFileLatencyOfAFrozenFile(t *testing.T) {
	if os.Getenv("VIPERPROBE_VM") != "1" {
		needLoop(t)
	}
	kerneltest.Exact(t, fileName)
	s := want(t, fileName)
	freeze := frozen(t)
	g := newGroup(t, nil)
	tg, w := newTarget(t, s, []string{fileName}, g), startWorker(t, workerOptions{Cgroup: g})
	path := filepath.Join(freeze.dir, "viperprobe-frozen")
	t.Cleanup(func() { os.Remove(path) })
	exactOnce(t, func(tt testing.TB) {
		w.do("files %s 1", path)
		old, began := tg.mark(), monotonic()
		thaw := freeze.freeze(t)
		w.tell("files %s 1", path)
		eventually(tt, "the worker to wait for the thaw", func() bool {
			stat := procFile(tt, fmt.Sprintf("/proc/%d", w.pid), "stat")
			return strings.HasPrefix(stat[strings.LastIndexByte(stat, ')'):], ") D")
		})
		waiting := monotonic()
		eventually(tt, "30 ms to pass", func() bool { return monotonic()-waiting > 30e6 })
		held := monotonic() - waiting
		thaw()
		w.answer()
		m, total := tg.mark().since(old), monotonic()-began
		m.same(tt, fileName+"/write/count", 3)
		if sum := m[fileName+"/write/sum"] + m[fileName+"/open/sum"]; sum < held || sum > total {
			tt.Errorf("waited %d ns in calls on files, want %d to %d", sum, held, total)
		}
	})
	lossless(t, s)
}
