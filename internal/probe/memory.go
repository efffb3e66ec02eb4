package probe

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// words is the memory of an mmapable array map: its values, in 8-byte words.
// Aligned words are read and written whole.
type words []uint64

// mapWords maps all values of m, shared with the kernel.
func mapWords(m *ebpf.Map) (words, error) {
	size := int(m.ValueSize()+7) / 8 * 8 * int(m.MaxEntries())
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	b, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map memory of %v: %w", m, err)
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), size/8), nil
}

func (w words) unmap() error {
	if len(w) == 0 {
		return nil
	}
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), len(w)*8))
}

// histograms are the cells of one histogram family: chunks of slots, made when one
// of their slots wants the family (vp.h: VP_HISTOGRAM).
type histograms struct {
	outer          *ebpf.Map
	inner          *ebpf.MapSpec
	labels, copies int
	chunks         [Slots / chunk]words
	maps           [Slots / chunk]*ebpf.Map
}

func newHistograms(outer *ebpf.Map, inner *ebpf.MapSpec, labels, copies int) *histograms {
	return &histograms{outer: outer, inner: inner, labels: labels, copies: copies}
}

// waiters is how many families get cells at the same time.
const waiters = 8

// ensure makes the cells of the given families' histograms for slots from first to
// last, and returns whose could not be made. The kernel lets whoever adds one wait until
// no program can hold what was there before, some 10 ms: families wait side by side.
func (s *Set) ensure(families []*metric.Family, first, last uint32) map[*metric.Family]error {
	var (
		mu     sync.Mutex
		all    sync.WaitGroup
		faults = map[*metric.Family]error{}
		turn   = make(chan struct{}, waiters)
	)
	for _, f := range families {
		o := s.objects[f.Object]
		if o == nil || o.hists[f] == nil || o.hists[f].have(first, last) {
			continue
		}
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			if err := o.hists[f].ensure(first, last); err != nil {
				mu.Lock()
				faults[f] = err
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return faults
}

func (h *histograms) have(first, last uint32) bool {
	return !slices.ContainsFunc(h.chunks[first/chunk:last/chunk+1], func(w words) bool { return w == nil })
}

func (h *histograms) ensure(first, last uint32) error {
	for i := first / chunk; i <= last/chunk; i++ {
		if h.chunks[i] != nil {
			continue
		}
		if err := h.make(i); err != nil {
			return err
		}
	}
	return nil
}

func (h *histograms) make(i uint32) error {
	m, err := ebpf.NewMap(h.inner)
	if err != nil {
		return fmt.Errorf("make cells of histogram %s: %w", h.inner.Name, err)
	}
	w, err := mapWords(m)
	if err != nil {
		return errors.Join(err, m.Close())
	}
	if err := h.outer.Update(i, m, ebpf.UpdateAny); err != nil {
		return errors.Join(fmt.Errorf("add cells of histogram %s: %w", h.inner.Name, err), w.unmap(), m.Close())
	}
	h.chunks[i], h.maps[i] = w, m
	return nil
}

// cell is the words of (slot, label, copy): sum, then counts; nil where the chunk
// was never made.
func (h *histograms) cell(slot uint32, label, copy int) words {
	w := h.chunks[slot/chunk]
	if w == nil {
		return nil
	}
	i := ((int(slot)%chunk*h.labels+label)*h.copies + copy) * histWords
	return w[i : i+histWords]
}

// clear zeroes the cells of a slot.
func (h *histograms) clear(slot uint32) {
	for label := range h.labels {
		for copy := range h.copies {
			clear(h.cell(slot, label, copy))
		}
	}
}

// bytes is the kernel memory of the chunks: their cells, and a page each for the map.
func (h *histograms) bytes() int {
	n := h.cellBytes()
	for _, m := range h.maps {
		if m != nil {
			n += os.Getpagesize()
		}
	}
	return n
}

func (h *histograms) cellBytes() (n int) {
	for _, w := range h.chunks {
		n += len(w) * 8
	}
	return n
}

// free gives all cells back. The kernel side finds none from here on.
func (h *histograms) free() error {
	var faults []error
	for i, m := range h.maps {
		if m != nil {
			faults = append(faults, h.outer.Delete(uint32(i)), h.chunks[i].unmap(), m.Close())
			h.chunks[i], h.maps[i] = nil, nil
		}
	}
	return errors.Join(faults...)
}

func (h *histograms) close() error {
	var faults []error
	for i, m := range h.maps {
		if m != nil {
			faults = append(faults, h.chunks[i].unmap(), m.Close())
		}
	}
	return errors.Join(faults...)
}
