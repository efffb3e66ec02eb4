package cgroup

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/policy"
)

// Bounds of what is read to recognise a target.
const (
	maxMembers    = 16       // processes of a cgroup
	maxArguments  = 64 << 10 // bytes of a command line: a JVM's class path is long
	maxMembership = 16 << 10 // bytes of a process's list of cgroups
	maxSockets    = 1 << 20  // bytes of a table of sockets
	maxFiles      = 1024     // descriptors of a process
	noteReach     = 4 << 10  // bytes of an executable: linkers put notes behind the headers
)

// Processes looks at the first processes of a v2 cgroup, and of each at what is
// needed. A process that is still its runtime's, or that ends meanwhile, is left
// out. It may wait for as long as a process's own file system makes it.
func (h *Host) Processes(at string, needs policy.Needs) []policy.Process {
	members, err := readHead(h.V2+filepath.Join(at, "cgroup.procs"), 4096)
	if err != nil {
		return nil
	}
	var out []policy.Process
	for pid := range strings.FieldsSeq(string(members)) {
		if n, err := strconv.Atoi(pid); err != nil || n <= 0 || len(out) == maxMembers {
			break
		}
		if p, ok := process(filepath.Join(h.Proc, pid), needs); ok {
			out = append(out, p)
		}
	}
	return out
}

// process looks at the process whose directory dir is.
func process(dir string, needs policy.Needs) (p policy.Process, ok bool) {
	command, err := readHead(filepath.Join(dir, "comm"), 64)
	if err != nil {
		return p, false
	}
	p.Command = strings.TrimSuffix(string(command), "\n")
	if ofRuntime(p.Command) {
		return p, false
	}
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil { // threads of the kernel have none
		p.Executable = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	}
	if needs.Arguments {
		if line, err := readHead(filepath.Join(dir, "cmdline"), maxArguments); err == nil && len(line) > 0 {
			p.Arguments = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		}
	}
	if needs.Build {
		if head, err := readHead(filepath.Join(dir, "exe"), noteReach); err == nil && hasGoNote(head) {
			p.Build = "go"
		}
	}
	if needs.Ports {
		p.Ports = listening(dir)
	}
	return p, true
}

// ofRuntime tells the process that a runtime is before it executes the container's.
func ofRuntime(command string) bool {
	return strings.HasPrefix(command, "runc:") || strings.HasPrefix(command, "youki:") || command == "runc" || command == "crun"
}

// hasGoNote finds the note with the build id that Go's linker leaves: a name of 4
// bytes, type 4, "Go".
func hasGoNote(head []byte) bool {
	for {
		i := bytes.Index(head, []byte("\x04\x00\x00\x00Go\x00\x00"))
		if i < 0 {
			return false
		}
		if i >= 8 && bytes.Equal(head[i-8:i-4], []byte("\x04\x00\x00\x00")) {
			return true
		}
		head = head[i+1:]
	}
}

// listening are the TCP ports on which a process itself listens: its network
// namespace may be everybody's.
func listening(dir string) []int {
	ports := map[string]int{} // by inode
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		if table, err := readHead(filepath.Join(dir, name), maxSockets); err == nil {
			parseListeners(table, ports)
		}
	}
	if len(ports) == 0 {
		return nil
	}
	fds, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return nil
	}
	defer fds.Close()
	names, err := fds.Readdirnames(maxFiles)
	if err != nil {
		return nil
	}
	var out []int
	for _, fd := range names {
		link, err := os.Readlink(filepath.Join(dir, "fd", fd))
		inode, isSocket := strings.CutPrefix(link, "socket:[")
		if port := ports[strings.TrimSuffix(inode, "]")]; err == nil && isSocket && port > 0 {
			out = append(out, port)
		}
	}
	return out
}

// parseListeners reads the listening rows of /proc/PID/net/tcp into ports by inode.
func parseListeners(table []byte, ports map[string]int) {
	const address, state, inode, listen = 1, 3, 9, "0A"
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) <= inode || fields[state] != listen {
			continue
		}
		_, hex, _ := strings.Cut(fields[address], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); err == nil && port > 0 {
			ports[fields[inode]] = int(port)
		}
	}
}

// readHead reads at most n bytes of a file.
func readHead(path string, n int64) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	b := make([]byte, n)
	at := 0
	for at < len(b) {
		switch got, err := unix.Read(fd, b[at:]); {
		case err == unix.EINTR:
		case err != nil:
			return b[:at], &os.PathError{Op: "read", Path: path, Err: err}
		case got == 0:
			return b[:at], nil
		default:
			at += got
		}
	}
	return b, nil
}
