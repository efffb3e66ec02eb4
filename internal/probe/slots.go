package probe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/internal/metric"
)

// slotWords is the size of struct vp_slot in words: a cache line with on, gen and
// switched, sampled, whole; then 64 rates of 16 bits.
const (
	slotWords   = rateWords + 64*2/8
	sampledWord = 2
	wholeWord   = 3
	rateWords   = 8
)

// A bit is where the switch of a family is: in the word of those that are never
// sampled, whose objects have no others, or in that of all others.
type bit struct {
	whole bool
	n     int
}

// number gives each gated family its bit.
func (s *Set) number() error {
	sampled, given := map[string]bool{}, map[bool]int{}
	for _, f := range s.families {
		sampled[f.Object] = sampled[f.Object] || f.Sampling == metric.Events
	}
	for _, f := range s.families {
		if !f.Gated() {
			continue
		}
		whole := !sampled[f.Object]
		s.bits[f] = bit{whole, given[whole]}
		if given[whole]++; given[whole] > 64 {
			return fmt.Errorf("%d event families of the kind of %s: a slot has room for 64; leave out some of --probe-dir", given[whole], f.Name)
		}
	}
	return nil
}

// masks are the bits of families in the two words; those that are not gated have none.
func (s *Set) masks(families []*metric.Family) (on, whole uint64) {
	for _, f := range families {
		if b := s.bits[f]; f.Gated() && b.whole {
			whole |= 1 << b.n
		} else if f.Gated() {
			on |= 1 << b.n
		}
	}
	return on, whole
}

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
	clear(rec[sampledWord:])
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
	o.apps.clear(slot)
	o.flows.clear(slot)
}

// Switch makes the given families, and no others, count for a slot. It is in
// force when it returns: one word of memory. Histograms get their cells first.
func (s *Set) Switch(slot uint32, on []*metric.Family) error {
	faults := s.ensure(on, slot, slot)
	mask, whole := s.masks(slices.DeleteFunc(slices.Clone(on), func(f *metric.Family) bool { return faults[f] != nil }))
	if rec := s.slots[int(slot)*slotWords:]; rec[0] != mask || rec[wholeWord] != whole {
		atomic.AddUint64(&rec[1], 1<<32) // switched is its high half, and comes first
		atomic.StoreUint64(&rec[0], mask)
		atomic.StoreUint64(&rec[wholeWord], whole)
	}
	return errors.Join(slices.Collect(maps.Values(faults))...)
}

// Switched lists the gated families that count for a slot.
func (s *Set) Switched(slot uint32) []*metric.Family {
	rec := s.slots[int(slot)*slotWords:]
	return slices.DeleteFunc(slices.Clone(s.families), func(f *metric.Family) bool {
		word, b := rec[0], s.bits[f]
		if b.whole {
			word = rec[wholeWord]
		}
		return !f.Gated() || word&(1<<b.n) == 0
	})
}

// Thin has each of the given families look at its share, above 0 and at most 1, of
// those events of a slot that find its window open, at random; all other families at
// all of them. Families whose share changes are not looked at while settle runs,
// which sees the old shares.
func (s *Set) Thin(slot uint32, shares map[*metric.Family]float64, settle func(changed []*metric.Family)) {
	var changed []*metric.Family
	for _, f := range s.families {
		if f.Sampling == metric.Events && s.rate(slot, f) != rateOf(shares, f) {
			changed = append(changed, f)
		}
	}
	if len(changed) == 0 {
		return
	}
	rec := s.slots[int(slot)*slotWords:][:slotWords]
	on := rec[0]
	mask, _ := s.masks(changed)
	atomic.StoreUint64(&rec[0], on&^mask) // no need to tell of the switch: pairs are not sampled
	settle(changed)
	sampled := rec[sampledWord] &^ mask
	for _, f := range changed {
		rate := rateOf(shares, f)
		word, shift := rateAt(s.bits[f].n)
		rec[word] = rec[word]&^(0xffff<<shift) | uint64(rate)<<shift
		if rate > 0 {
			sampled |= 1 << s.bits[f].n
		}
	}
	atomic.StoreUint64(&rec[sampledWord], sampled)
	atomic.StoreUint64(&rec[0], on)
}

// Share is the share of a slot's events at which a family looks, of those that find
// its window open.
func (s *Set) Share(slot uint32, f *metric.Family) float64 {
	if rate := s.rate(slot, f); rate > 0 {
		return float64(rate) / rates
	}
	return 1
}

// rates is what the rates of vp_slot are parts of. 0 stands for all.
const rates = 1 << 16

func rateOf(shares map[*metric.Family]float64, f *metric.Family) uint16 {
	share, ok := shares[f]
	if !ok || share >= 1 {
		return 0
	}
	return uint16(min(max(share*rates+0.5, 1), rates-1))
}

func (s *Set) rate(slot uint32, f *metric.Family) uint16 {
	rec := s.slots[int(slot)*slotWords:][:slotWords]
	if s.bits[f].whole || rec[sampledWord]&(1<<s.bits[f].n) == 0 {
		return 0
	}
	word, shift := rateAt(s.bits[f].n)
	return uint16(rec[word] >> shift)
}

// rateAt is where a family's rate is: in which word of a slot, and how far from its
// low end.
func rateAt(bit int) (word, shift int) { return rateWords + bit/4, bit % 4 * 16 }
