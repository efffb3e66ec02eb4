package probe

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/internal/metric"
)

// slotWords is the size of struct vp_slot in words: on, gen and switched, 64 rates of 16 bits.
const slotWords = 2 + 64*2/8

// A Cgroup is what the kernel side knows of a cgroup (vp.h: struct vp_cgroup).
type Cgroup struct {
	Slot     uint32
	Levels   uint16 // own slots begin so many levels below; 0: all below inherits
	Template uint16 // slot whose switches a new target copies
}

// ErrFull says that all slots are taken.
var ErrFull = fmt.Errorf("all %d slots for targets are taken: narrow --cgroup", Slots-firstSlot)

// SetCgroup tells the kernel side about a cgroup v2 id.
func (s *Set) SetCgroup(id uint64, c Cgroup) error {
	if err := s.shared["vp_cgroups"].Put(id, c); err != nil {
		return fmt.Errorf("set slot of cgroup %d: %w", id, err)
	}
	s.remember(id, c.Slot)
	s.changed++
	return nil
}

// directs and taken are VP_DIRECT and VP_TAKEN of vp.h.
const (
	directs = 16384
	taken   = ^uint64(0)
)

// remember puts the slot of a cgroup where it is found without hashing, if no other
// cgroup is there. The kernel side does the same for new cgroups (cgroup.bpf.c).
func (s *Set) remember(id uint64, slot uint32) {
	entry := s.direct[id%directs*2:][:2]
	switch {
	case atomic.LoadUint64(&entry[0]) == id:
		atomic.StoreUint64(&entry[1], uint64(slot))
	case atomic.CompareAndSwapUint64(&entry[0], 0, taken):
		atomic.StoreUint64(&entry[1], uint64(slot))
		atomic.StoreUint64(&entry[0], id)
	}
}

// Cgroup is what the kernel side knows of a cgroup v2 id.
func (s *Set) Cgroup(id uint64) (c Cgroup, ok bool) {
	return c, s.shared["vp_cgroups"].Lookup(id, &c) == nil
}

// ForgetCgroup makes the kernel side forget a cgroup: its tasks belong to the
// remainder from here on.
func (s *Set) ForgetCgroup(id uint64) error {
	atomic.CompareAndSwapUint64(&s.direct[id%directs*2], id, 0)
	if err := s.shared["vp_cgroups"].Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget cgroup %d: %w", id, err)
	}
	s.changed++
	return nil
}

// TakeSlot takes a free slot.
func (s *Set) TakeSlot() (uint32, error) {
	var slot uint32
	if err := s.core.Maps["vp_free"].LookupAndDelete(nil, &slot); err != nil {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return 0, ErrFull
		}
		return 0, fmt.Errorf("take a slot: %w", err)
	}
	return slot, nil
}

// FreeSlot gives a slot back: its switches are off, its cells zero, and whoever
// cached its number can tell.
func (s *Set) FreeSlot(slot uint32) error {
	rec := s.slots[int(slot)*slotWords:][:slotWords]
	rec[0] = 0
	rec[1] += 1<<32 + 1 // switched is its high half, gen its low one
	for _, o := range s.objects {
		o.clear(slot)
	}
	if err := s.core.Maps["vp_free"].Update(nil, slot, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("free slot %d: %w", slot, err)
	}
	return nil
}

func (o *object) clear(slot uint32) {
	for copy := range len(o.cells) / max(1, o.stride*Slots) {
		n := len(o.cells) / (o.stride * Slots)
		i := (int(slot)*n + copy) * o.stride
		clear(o.cells[i : i+o.stride])
	}
	for _, h := range o.hists {
		h.clear(slot)
	}
}

// Switch makes the given families, and no others, count for a slot. It is in
// force when it returns: one word of memory. Histograms get their cells first.
func (s *Set) Switch(slot uint32, on []*metric.Family) error {
	var mask uint64
	var faults []error
	for _, f := range on {
		if !f.Gated() {
			continue
		}
		if o := s.objects[f.Object]; o != nil && f.Kind == metric.Histogram && o.hists[f] != nil {
			if err := o.hists[f].ensure(slot); err != nil {
				faults = append(faults, err)
				continue
			}
		}
		mask |= 1 << s.bits[f]
	}
	if rec := s.slots[int(slot)*slotWords:]; rec[0] != mask {
		atomic.AddUint64(&rec[1], 1<<32) // switched is its high half, and comes first
		atomic.StoreUint64(&rec[0], mask)
	}
	return errors.Join(faults...)
}

// Switched lists the gated families that count for a slot.
func (s *Set) Switched(slot uint32) []*metric.Family {
	mask := s.slots[int(slot)*slotWords]
	return slices.DeleteFunc(slices.Clone(s.families), func(f *metric.Family) bool {
		return !f.Gated() || mask&(1<<s.bits[f]) == 0
	})
}
