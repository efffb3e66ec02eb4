package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// interfaces tells what the network devices of a target's namespace have counted.
// The devices do not tell whose a packet was, so that the counts of a namespace
// are given to one target: the oldest that is in it and wants them. The machine's
// own namespace is the node's, and no target's.
type interfaces struct {
	opened
	cgroup  uint64 // id: younger cgroups have greater ones
	process int    // descriptor of /proc/PID of a process of the target, -1 without one
	space   uint64 // inode of its network namespace; 0: none, or the machine's
}

var interfaceFields = []field{
	{key: "rbytes", family: "net_received_bytes", scale: 1},
	{key: "rpackets", family: "net_received_packets", scale: 1},
	{key: "rerrors", family: "net_errors", label: "in", scale: 1},
	{key: "rdrops", family: "net_dropped_packets", label: "in", scale: 1},
	{key: "tbytes", family: "net_sent_bytes", scale: 1},
	{key: "tpackets", family: "net_sent_packets", scale: 1},
	{key: "terrors", family: "net_errors", label: "out", scale: 1},
	{key: "tdrops", family: "net_dropped_packets", label: "out", scale: 1},
}

var interfaceSource = source{file: "net/dev", parse: parseInterfaces, fields: interfaceFields}

func newInterfaces(o opened, cgroup uint64) *interfaces {
	return &interfaces{opened: o, cgroup: cgroup, process: -1}
}

// read appends the readings of the namespace if they are this target's. With look
// the target's process and its namespace are looked up anew: a process ends, and a
// runtime moves one to its namespace after it has put it into the cgroup.
func (n *interfaces) read(f *Files, buf *[]byte, look bool, dst []metric.Reading) ([]metric.Reading, error) {
	if look {
		if err := n.look(f.host, f.at); err != nil {
			return dst, err
		}
	}
	if n.space == 0 || f.host.spaces.first(n.space) != n {
		return dst, nil
	}
	got, err := n.readProcess(f, buf, dst)
	if ended(err) { // another process of the target may live
		if err = n.look(f.host, f.at); err == nil && n.space != 0 && f.host.spaces.first(n.space) == n {
			got, err = n.readProcess(f, buf, dst)
		}
		err = alive(err)
	}
	return got, err
}

// ended reports whether err is what is left of a process, or one that we may not
// look at (Check tells).
func ended(err error) bool {
	return gone(err) || errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrPermission)
}

// readProcess opens the file for one reading only: while it is open the namespace
// lives, and with it the devices of a pod that is gone.
func (n *interfaces) readProcess(f *Files, buf *[]byte, dst []metric.Reading) ([]metric.Reading, error) {
	fd, err := unix.Openat(n.process, n.file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return dst, &os.PathError{Op: "open", Path: n.path(), Err: err}
	}
	size, err := readWhole(buf, fd, 0)
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return dst, &os.PathError{Op: "read", Path: n.path(), Err: err}
	}
	return n.parse((*buf)[:size], &n.opened, f, dst)
}

// look finds a process of the target and the namespace that it is in.
func (n *interfaces) look(h *Host, at string) error {
	if err := n.leave(h); err != nil {
		return err
	}
	pid := h.member(at)
	machine, err := h.spaces.machine(h)
	if pid == "" || err != nil {
		return alive(err)
	}
	n.dir = filepath.Join(h.Proc, pid)
	if n.process, err = unix.Open(n.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return alive(&os.PathError{Op: "open", Path: n.dir, Err: err})
	}
	var st unix.Stat_t
	if err := unix.Fstatat(n.process, "ns/net", &st, 0); err != nil {
		return errors.Join(alive(&os.PathError{Op: "stat", Path: n.dir + "/ns/net", Err: err}), n.leave(h))
	}
	if st.Ino == machine { // as most are: no descriptor for nothing
		return n.leave(h)
	}
	n.space = st.Ino
	h.spaces.join(n)
	return nil
}

// alive turns what is left of a process into nil.
func alive(err error) error {
	if ended(err) {
		return nil
	}
	return err
}

// leave forgets process and namespace.
func (n *interfaces) leave(h *Host) error {
	h.spaces.part(n)
	n.space = 0
	if n.process < 0 {
		return nil
	}
	fd := n.process
	n.process = -1
	return unix.Close(fd)
}

// spaces are the network namespaces in which targets are, by inode, each with its
// targets by age. A namespace is listed as long as a target's process is in it.
type spaces struct {
	mu      sync.Mutex
	own     uint64 // the machine's, 0 as long as nobody asked
	members map[uint64][]*interfaces
}

// machine is the inode of the machine's own network namespace.
func (s *spaces) machine(h *Host) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == 0 {
		var st unix.Stat_t
		at := filepath.Join(h.Proc, "1/ns/net")
		err := unix.Stat(at, &st)
		// The first process may have rights that we lack; threads of the kernel never leave.
		if head, _ := readHead(filepath.Join(h.Proc, "2/comm"), 16); err != nil && string(head) == "kthreadd\n" {
			err = unix.Stat(filepath.Join(h.Proc, "2/ns/net"), &st)
		}
		if err != nil {
			return 0, &os.PathError{Op: "stat", Path: at, Err: err}
		}
		s.own = st.Ino
	}
	return s.own, nil
}

func (s *spaces) first(inode uint64) *interfaces {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.members[inode]; len(m) > 0 {
		return m[0]
	}
	return nil
}

func (s *spaces) join(n *interfaces) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members == nil {
		s.members = map[uint64][]*interfaces{}
	}
	m := s.members[n.space]
	i := slices.IndexFunc(m, func(other *interfaces) bool { return other.cgroup > n.cgroup })
	if i < 0 {
		i = len(m)
	}
	s.members[n.space] = slices.Insert(m, i, n)
}

func (s *spaces) part(n *interfaces) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := slices.DeleteFunc(s.members[n.space], func(other *interfaces) bool { return other == n })
	if len(m) == 0 {
		delete(s.members, n.space)
	} else {
		s.members[n.space] = m
	}
}
