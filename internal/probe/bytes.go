package probe

import (
	"slices"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/internal/metric"
)

// MapBytes is the kernel memory that maps take.
func (s *Set) MapBytes() int {
	n := collectionBytes(s.core, nil) + collectionBytes(s.windows.coll, s.shared)
	for _, o := range s.objects {
		n += collectionBytes(o.coll, s.shared)
		for _, h := range o.hists {
			n += h.bytes()
		}
	}
	return n
}

func collectionBytes(c *ebpf.Collection, without map[string]*ebpf.Map) int {
	if c == nil {
		return 0
	}
	n := 0
	for name, m := range c.Maps {
		if without[name] != nil {
			continue
		}
		if info, err := m.Info(); err == nil {
			if b, ok := info.Memlock(); ok {
				n += int(b)
			}
		}
	}
	return n
}

// FamilyBytes shares the kernel memory of hook groups among their families: a
// histogram has its own cells, the other maps of a group belong in equal parts to
// the families that are wanted. Memory of groups that nobody wants, and of what knows
// targets, is nobody's.
func (s *Set) FamilyBytes() map[*metric.Family]int {
	out := map[*metric.Family]int{}
	for _, o := range s.objects {
		fixed := collectionBytes(o.coll, s.shared)
		for _, f := range o.wanted {
			out[f] += fixed / len(o.wanted)
		}
		for f, h := range o.hists {
			out[f] += h.bytes()
		}
	}
	return out
}

// Trim gives back the memory of a histogram that nobody wants, and with it what its
// cells have counted. It reports whether there was any.
func (s *Set) Trim(f *metric.Family) (bool, error) {
	o := s.objects[f.Object]
	if o == nil || o.hists[f] == nil || slices.Contains(o.wanted, f) || o.hists[f].bytes() == 0 {
		return false, nil
	}
	return true, o.hists[f].free()
}

// MapBytesOn is what MapBytes would be on a machine with so many possible CPUs.
func (s *Set) MapBytesOn(cpus int) int {
	n := s.MapBytes()
	grow := func(bytes, copies int) {
		if copies == s.copies { // on one CPU it cannot be told what grows; there per-CPU and not is the same
			n += bytes/copies*cpus - bytes
		}
	}
	for _, o := range s.objects {
		for _, h := range o.hists {
			grow(h.cellBytes(), h.copies)
		}
		if o.stride > 0 {
			grow(len(o.cells)*8, len(o.cells)/(o.stride*Slots))
		}
		n += eachCPU(o.coll) * (cpus - s.copies)
	}
	return n
}

// eachCPU is what a collection's maps take for each possible CPU, where the kernel
// itself keeps the copies.
func eachCPU(c *ebpf.Collection) (n int) {
	if c == nil {
		return 0
	}
	for _, m := range c.Maps {
		if m.Type() == ebpf.PerCPUArray {
			n += int((m.ValueSize()+7)/8*8) * int(m.MaxEntries())
		}
	}
	return n
}
