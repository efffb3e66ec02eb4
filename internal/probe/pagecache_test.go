package probe

import (
	"fmt"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var pagecacheNames = []string{"page_cache_lookups", "page_cache_misses"}

// pagecacheActions: "pages drop PATH" makes the cache forget a clean file, "pages
// read PATH N" reads N pages one by one and nothing ahead, "pages stream PATH" reads
// to the end with read-ahead, "pages write PATH N" writes N pages, "pages map PATH N"
// writes to N pages of the file's mapping. The answer is how many the cache has.
func pagecacheActions() map[string]action {
	return map[string]action{"pages": func(_ *job, args []string) (answer, error) {
		fd, err := unix.Open(args[1], unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		n, b := number(args, 2), make([]byte, 4096)
		switch args[0] {
		case "drop":
			err = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
		case "read":
			err = unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)
			for i := 0; i < n && err == nil; i++ {
				_, err = unix.Pread(fd, b, int64(i)*4096)
			}
		case "stream":
			for got := 1; got > 0 && err == nil; {
				got, err = unix.Read(fd, b)
			}
		case "write":
			for i := 0; i < n && err == nil; i++ {
				_, err = unix.Pwrite(fd, b, int64(i)*4096)
			}
		case "map":
			var m []byte
			if m, err = unix.Mmap(fd, 0, n*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
				writeEach(m)
				err = unix.Munmap(m)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", args[0], err)
		}
		cached, err := cachedPages(fd)
		return answer{"cached": cached}, err
	}}
}

// cachedPages is how many pages of a file are in the page cache (mincore, which
// changes nothing).
func cachedPages(fd int) (n int64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size == 0 {
		return 0, err
	}
	m, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(m)
	in := make([]byte, (st.Size+4095)/4096)
	if err := mincore(m, in); err != nil {
		return 0, err
	}
	for _, b := range in {
		n += int64(b & 1)
	}
	return n, nil
}

func TestPageCacheOfReadsWritesAndMappings(t *testing.T) {
	const pages = 512
	for _, rung := range []int{0, 1} {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			s := ladderSet(t, "pagecache", rung, "6.1.", pagecacheNames...)
			if s == nil {
				return
			}
			g, og := newGroup(t, nil), newGroup(t, nil)
			kerneltest.Exact(t, pagecacheNames...)
			tg, other := newTarget(t, s, pagecacheNames, g), newTarget(t, s, pagecacheNames, og)
			w, idle := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
			// Code of the worker's own that was pushed out of the cache is read again in between.
			exactOnce(t, func(t testing.TB) {
				file := holeFile(t, pages*4096)
				w.do("pages read %s 1", file) // what the worker needs is there after this
				w.do("pages stream %s", file)
				w.do("pages map %s 1", file)
				unix.Sync()
				if n := w.do("pages drop %s", file)["cached"]; n > 1 {
					t.Fatalf("%d pages stayed", n)
				}
				idle.quiet()
				w.quiet()
				oldOther := other.mark()
				cached := w.do("pages drop %s", file)["cached"]
				step := func(reads, faults, misses int64, format string, args ...any) {
					t.Helper()
					w.quiet()
					old := tg.mark()
					now := w.do(format, args...)["cached"]
					m := tg.mark().since(old)
					if misses < 0 {
						misses = now - cached
					}
					m.same(t, "page_cache_lookups/read", uint64(reads))
					m.same(t, "page_cache_lookups/fault", uint64(faults))
					m.same(t, "page_cache_misses", uint64(misses))
					if now-cached != misses {
						t.Errorf("%s: the cache got %d pages, %d were missed", fmt.Sprintf(format, args...), now-cached, misses)
					}
					cached = now
				}
				step(100, 0, 100-cached, "pages read %s 100", file)
				step(100, 0, 0, "pages read %s 100", file)
				step(pages, 0, -1, "pages stream %s", file)
				if cached != pages {
					t.Fatalf("the cache has %d pages of %d", cached, pages)
				}
				cached = w.do("pages drop %s", file)["cached"]
				step(pages, 0, pages-cached, "pages read %s %d", file, pages) // small folios: a fault each
				step(0, pages, 0, "pages map %s %d", file, pages)
				fresh := holeFile(t, 0)
				cached = 0
				step(0, 0, 200, "pages write %s 200", fresh)
				for name, v := range other.mark().since(oldOther) {
					if v != 0 {
						t.Errorf("another target's %s = %d", name, v)
					}
				}
			})
			lossless(t, s)
		})
	}
}

func mincore(m, in []byte) error {
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		return errno
	}
	return nil
}
