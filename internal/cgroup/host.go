// Package cgroup is where containers meet cgroups: it finds the hierarchies of a
// host, judges what each cgroup is by its path, names it from what the container
// runtimes leave on disk, and reads the files of cgroups and of the node (the
// file tier). It asks no API and loads no BPF.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrNoCgroup2 means that the host has no cgroup v2 mount, without which there
// are no targets.
var ErrNoCgroup2 = errors.New("no cgroup v2 hierarchy is mounted: mount one with " +
	"`mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified`, or boot with systemd.unified_cgroup_hierarchy=1")

// A Host is where a machine's cgroups and facts are found. Its exported fields
// may be changed before its first use and not after; its methods may be called
// by many goroutines.
type Host struct {
	Root      string            // where the machine's root is mounted: "/" or, in a container, /host or such
	V2        string            // mount point of cgroup v2, Root included
	V1        map[string]string // mount point of each controller that is on v1, Root included
	Proc      string            // mount point of the machine's proc, Root included
	MachineID string            // /etc/machine-id, or "hostname:" and the host's name where there is none
	BootID    string
	Node      string         // the host's name
	Parents   map[string]int // further watched parents by v2 path, with the levels below them at which targets begin

	bfq     bool // some disk uses the bfq scheduler, which then keeps the v1 IO counts
	disks   devices
	spaces  spaces
	buffers sync.Pool
}

// Hybrid reports whether controllers are on v1 beside a v2 hierarchy.
func (h *Host) Hybrid() bool { return len(h.V1) > 0 }

// Find looks at the machine whose root is mounted at root: "/" for the machine
// that the caller runs on. It is ErrNoCgroup2 when there is no cgroup v2.
func Find(root string) (*Host, error) {
	h := &Host{Root: filepath.Clean(root)}
	h.Proc = h.at("proc")
	if err := h.findMounts(); err != nil {
		return nil, err
	}
	h.BootID = h.fact("proc/sys/kernel/random/boot_id")
	h.Node = h.nodeName()
	h.MachineID = h.fact("etc/machine-id")
	if h.MachineID == "" {
		h.MachineID = h.fact("var/lib/dbus/machine-id")
	}
	if h.MachineID == "" {
		h.MachineID = "hostname:" + h.Node
	}
	h.bfq = h.usesBFQ()
	return h, nil
}

func (h *Host) at(path string) string { return filepath.Join(h.Root, path) }

// fact is a file's trimmed content, "" when it cannot be read.
func (h *Host) fact(path string) string {
	b, err := os.ReadFile(h.at(path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// nodeName prefers the file where root is not our own: the kernel's answer is
// about the asker's UTS namespace.
func (h *Host) nodeName() string {
	files := []string{"proc/sys/kernel/hostname", "etc/hostname"}
	if h.Root != "/" {
		files[0], files[1] = files[1], files[0]
	}
	for _, f := range files {
		if name := h.fact(f); name != "" {
			return name
		}
	}
	return "localhost"
}

// findMounts fills V2 and V1. Of root's own init the paths are those of the
// machine; of ourselves they are those that we see.
func (h *Host) findMounts() error {
	who := []string{"self"}
	if h.Root != "/" {
		who = []string{"1", "self"}
	}
	var faults []error
	for _, pid := range who {
		b, err := os.ReadFile(filepath.Join(h.Proc, pid, "mountinfo"))
		if err != nil {
			faults = append(faults, fmt.Errorf("read mounts: %w", err))
			continue
		}
		h.V1 = map[string]string{}
		for _, m := range parseMounts(string(b)) {
			h.addMount(m)
		}
		if h.V2 != "" {
			return nil
		}
	}
	if len(faults) == len(who) {
		return errors.Join(faults...)
	}
	return ErrNoCgroup2
}

func (h *Host) addMount(m mount) {
	point := m.point
	if point != h.Root && !strings.HasPrefix(point, strings.TrimSuffix(h.Root, "/")+"/") {
		point = h.at(m.point)
	}
	if info, err := os.Stat(point); err != nil || !info.IsDir() {
		return
	}
	switch m.kind {
	case "cgroup2":
		// The usual places win over further mounts of the same hierarchy.
		if h.V2 == "" || m.point == "/sys/fs/cgroup" || m.point == "/sys/fs/cgroup/unified" {
			h.V2 = point
		}
	case "cgroup":
		for _, controller := range m.controllers {
			if h.V1[controller] == "" {
				h.V1[controller] = point
			}
		}
	}
}

func (h *Host) usesBFQ() bool {
	files, _ := filepath.Glob(h.at("sys/block/*/queue/scheduler"))
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), "[bfq]") {
			return true
		}
	}
	return false
}

// View says what keeps the caller from seeing the whole machine, and what to do:
// a private PID namespace, or a cgroup mount that is not the machine's root. It
// is nil when all is well.
func (h *Host) View() error {
	var faults []error
	if _, err := os.Stat(filepath.Join(h.V2, "cgroup.events")); err == nil {
		faults = append(faults, fmt.Errorf("%s is not the root of the host's cgroups: mount the host's /sys/fs/cgroup there, or run in the host's cgroup namespace (docker run --cgroupns=host)", h.V2))
	}
	var ours unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ours); err != nil {
		faults = append(faults, fmt.Errorf("stat own PID namespace: %w", err))
	} else if ours.Ino != firstPIDs {
		faults = append(faults, errors.New("not in the host's PID namespace: run with hostPID: true (Kubernetes) or --pid=host (Docker)"))
	}
	return errors.Join(faults...)
}

// firstPIDs is the inode of the machine's first PID namespace (PROC_PID_INIT_INO
// in the kernel's proc_ns.h). Its number can be asked without any right to look
// at other processes.
const firstPIDs = 0xEFFFFFFC
