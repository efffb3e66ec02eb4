package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const block = 4096

// write puts n blocks on a disk past the page cache.
func write(n int) any {
	dir := "/disk" // of the test machines
	if _, err := os.Stat(dir); err != nil {
		dir = "."
	}
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("write-%d", os.Getpid())), os.O_CREATE|os.O_WRONLY|syscall.O_DIRECT, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	memory, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i := range n {
		if _, err := f.WriteAt(unsafe.Slice(&memory[0], block), int64(i)*block); err != nil {
			return err
		}
	}
	return n
}

// Block IO is the target's also where it is charged to a cgroup of another
// hierarchy, which comes later than the v2 one.
func TestBlockIOOfTarget(t *testing.T) {
	r := measureAll(t, "block_bytes")
	name := unique("disk")
	dir := mkdir(t, r.host, name)
	w := startIn(t, dir)
	if v1 := r.host.V1["blkio"]; v1 != "" {
		twin := filepath.Join(v1, name)
		if err := os.Mkdir(twin, 0o755); err != nil {
			t.Fatal(err)
		}
		defer rmdir(t, twin)
		if err := os.WriteFile(filepath.Join(twin, "cgroup.procs"), []byte(fmt.Sprint(w.cmd.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the v1 cgroup to be known", func() (known bool) {
			err := r.do(func() error {
				for _, x := range r.tree.targets {
					known = known || x.Cgroup == "/"+name && x.v1.id != 0
				}
				return nil
			})
			return known && err == nil
		})
	}
	const blocks = 100
	if got := w.do(fmt.Sprint("write ", blocks)); got != fmt.Sprint(blocks) {
		t.Fatal(errors.New(strings.TrimSpace(got)))
	}
	w.end()
	rmdir(t, dir)
	r.stop() // pages of the file keep the cgroup long after its removal
	if got := r.sum("/"+name, "block_bytes"); got < blocks*block || got > blocks*block+1<<20 {
		t.Errorf("block_bytes %d, want %d and a little for the file system", got, blocks*block)
	}
}
