package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// cgroup1 names a cgroup of a v1 hierarchy (vp.h: struct vp_cgroup1).
type cgroup1 struct {
	ID        uint64
	Hierarchy uint32
	_         uint32
}

// SetCgroup1 tells the kernel side whose slot is charged for what the kernel
// charges to a cgroup of a v1 hierarchy (block IO on hybrid hosts), and to those
// below it that have no slot of their own. The hierarchy's number is the first
// field of /proc/PID/cgroup, the id the inode number of the cgroup's folder.
func (s *Set) SetCgroup1(hierarchy int, id uint64, slot uint32) error {
	if err := s.shared["vp_cgroups1"].Put(cgroup1{ID: id, Hierarchy: uint32(hierarchy)}, slot); err != nil {
		return fmt.Errorf("set slot of cgroup %d in hierarchy %d: %w", id, hierarchy, err)
	}
	return nil
}

// ForgetCgroup1 makes the kernel side forget a cgroup of a v1 hierarchy. Call it
// before FreeSlot: nothing else takes the cgroup's slot from it.
func (s *Set) ForgetCgroup1(hierarchy int, id uint64) error {
	err := s.shared["vp_cgroups1"].Delete(cgroup1{ID: id, Hierarchy: uint32(hierarchy)})
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget cgroup %d in hierarchy %d: %w", id, hierarchy, err)
	}
	return nil
}
