package cgroup

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// V1ID is the id (inode) of the group that does controller's work for the v2
// cgroup at path, on a host where controller is on v1. The group is found by
// /proc/PID/cgroup of a member, or by the same path while there is none. own is
// false when it is not the cgroup's alone: an ancestor's, or one elsewhere, whose
// numbers are others' too.
func (h *Host) V1ID(path, controller string) (id uint64, own bool, err error) {
	group, own, err := h.v1Group(path, controller)
	if err != nil {
		return 0, false, err
	}
	var st unix.Stat_t
	if err := unix.Stat(h.V1[controller]+group, &st); err != nil {
		return 0, false, fmt.Errorf("stat %s cgroup %s: %w", controller, group, err)
	}
	return st.Ino, own, nil
}

// v1Group is the path of that group below its mount point.
func (h *Host) v1Group(at, controller string) (group string, own bool, err error) {
	mount, ok := h.V1[controller]
	if !ok {
		return "", false, fmt.Errorf("controller %s is not on cgroup v1", controller)
	}
	group, found := h.memberGroup(at, controller)
	if !found {
		if _, err := os.Stat(mount + at); err == nil {
			return at, true, nil
		}
		return nearest(mount, at), false, nil
	}
	switch {
	case group == at || strings.HasPrefix(group, strings.TrimSuffix(at, "/")+"/"):
		// A member may have gone into a group inside that v2 does not have.
		return at, true, nil
	case path.Base(group) == path.Base(at) && group != "/":
		return group, true, nil
	}
	return group, false, nil
}

// memberGroup is where the first process of a v2 cgroup is on controller's
// hierarchy.
func (h *Host) memberGroup(at, controller string) (string, bool) {
	first, ok := h.firstMember(at)
	if !ok {
		return "", false
	}
	b, err := readHead(filepath.Join(h.Proc, first, "cgroup"), maxMembership)
	if err != nil {
		return "", false
	}
	return groupOf(string(b), controller)
}

// groupOf finds a controller's line in a /proc/PID/cgroup file. A path that
// leaves the reader's cgroup namespace (/../x) tells nothing.
func groupOf(text, controller string) (string, bool) {
	for line := range strings.Lines(text) {
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(part) < 3 || part[1] == "" {
			continue
		}
		for c := range strings.SplitSeq(part[1], ",") {
			if c == controller {
				group := strings.TrimSuffix(part[2], " (deleted)")
				return group, strings.HasPrefix(group, "/") && !strings.HasPrefix(group, "/..")
			}
		}
	}
	return "", false
}

// nearest is the closest ancestor of at that exists below mount.
func nearest(mount, at string) string {
	for at = path.Dir(at); at != "/"; at = path.Dir(at) {
		if _, err := os.Stat(mount + at); err == nil {
			break
		}
	}
	return at
}

// Hierarchy is the number of the v1 hierarchy that controller is on, as in the first
// field of /proc/PID/cgroup.
func (h *Host) Hierarchy(controller string) (int, error) {
	b, err := os.ReadFile(filepath.Join(h.Proc, "cgroups"))
	if err != nil {
		return 0, fmt.Errorf("find the hierarchy of %s: %w", controller, err)
	}
	for line := range strings.Lines(string(b)) {
		var n int
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == controller {
			if n, err = strconv.Atoi(fields[1]); err != nil {
				return 0, fmt.Errorf("find the hierarchy of %s: %q in /proc/cgroups: %w", controller, fields[1], err)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("find the hierarchy of %s: it is not in /proc/cgroups", controller)
}
