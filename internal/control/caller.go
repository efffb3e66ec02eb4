package control

import (
	"errors"
	"io/fs"
	"net"
	"slices"
	"syscall"
	"unsafe"
)

type callerKey struct{}

// A caller is who is at the other end of a connection, as the kernel says.
type caller struct {
	cred   *syscall.Ucred
	groups []uint32 // supplementary
	err    error
}

func callerOf(conn net.Conn) (c caller) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		c.err = fs.ErrInvalid
		return c
	}
	raw, err := u.SyscallConn()
	if err != nil {
		c.err = err
		return c
	}
	var credErr, groupsErr error
	err = raw.Control(func(fd uintptr) {
		c.cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		c.groups, groupsErr = peerGroups(fd)
	})
	c.err = errors.Join(err, credErr, groupsErr)
	return c
}

// in tells whether the caller is of a group, by its own or a supplementary one.
func (c *caller) in(gid uint32) bool {
	return c.cred.Gid == gid || slices.Contains(c.groups, gid)
}

// peerGroups are the supplementary groups of who connected (SO_PEERGROUPS, Linux 4.13).
func peerGroups(fd uintptr) ([]uint32, error) {
	const (
		soPeerGroups = 59    // asm-generic/socket.h, which amd64 and arm64 use
		most         = 65536 // NGROUPS_MAX
	)
	groups := make([]uint32, 16)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soPeerGroups,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == syscall.ERANGE && size <= 4*most && int(size) > 4*len(groups) {
			groups = make([]uint32, size/4) // the kernel says how many there are
			continue
		}
		if errno != 0 {
			return nil, errno
		}
		return groups[:size/4], nil
	}
}
