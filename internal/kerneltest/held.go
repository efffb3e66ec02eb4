package kerneltest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Held is what a process has in the kernel: ids of programs and links.
type Held struct{ Programs, Links map[uint32]bool }

// HeldBy looks at the descriptors of a process.
func HeldBy(pid int) (Held, error) {
	h := Held{map[uint32]bool{}, map[uint32]bool{}}
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return h, err
	}
	for _, info := range infos {
		text, _ := os.ReadFile(info) // descriptors come and go
		for line := range strings.Lines(string(text)) {
			var id uint32
			if n, _ := fmt.Sscanf(line, "prog_id: %d", &id); n == 1 {
				h.Programs[id] = true
			} else if n, _ := fmt.Sscanf(line, "link_id: %d", &id); n == 1 {
				h.Links[id] = true
			}
		}
	}
	return h, nil
}

// Left waits until the kernel has none of it any more, but not longer than limit, and
// gives what it still has.
func (h Held) Left(limit time.Duration) (left []string) {
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		left = nil
		for id := range h.Programs {
			if exists(unix.BPF_PROG_GET_FD_BY_ID, id) {
				left = append(left, fmt.Sprint("program ", id))
			}
		}
		for id := range h.Links {
			if exists(unix.BPF_LINK_GET_FD_BY_ID, id) {
				left = append(left, fmt.Sprint("link ", id))
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

func exists(command uintptr, id uint32) bool {
	attr := [3]uint32{id}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return errno != unix.ENOENT
	}
	unix.Close(int(fd))
	return true
}
