package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Bounds of flows (flow.h).
const (
	flowCells     = 2048 // of the node
	flowsOfTarget = 60
)

// flowIdle is for how many ticks a flow is kept that has no connection and counts nothing.
const flowIdle = 60

// Words of struct flow_cell: its key, serial and used, counters, and then what each pass sets anew.
const (
	flowSerial   = 4
	flowCounters = 5
	flowGauges   = 11
	flowWords    = 14
)

// flows is what the hook group socket has for families flow_*: cells for (target, peer,
// port), which the kernel side takes and user space gives back. Cells of one slot that
// have the same labels are one series.
type flows struct {
	set           *Set
	cells, counts words
	numbers       *ebpf.Map
	vacant        *ebpf.Map // cells
	next          *ebpf.Variable
	members       map[string]int // words of a cell
	on, whole     uint64         // switches of the families that are wanted, in the two words of a slot
	known         [flowCells + 2*Slots]*flowCell
	series        [Slots][]*flowSeries
	names         [Slots]string // as of this tick
	beyond        uint64        // connections that were counted in cells for all others
}

// A flowCell is a cell that is in use.
type flowCell struct {
	flowKey
	last    [flowGauges - flowCounters]uint64
	idle    int         // ticks in which nothing was counted
	leaving bool        // nothing new can find it: at the next tick it is free
	labels  [2]string   // as of the last tick
	into    *flowSeries // nil: none yet
}

type flowSeries struct {
	labels [2]string
	values [flowWords - flowCounters]uint64 // totals of counters, then gauges
	cells  int                              // that it has, as of the last tick
}

func (o *object) openFlows(s *Set) (err error) {
	cell, ok := btf.UnderlyingType(o.spec.Maps["flow_cells"].Value).(*btf.Struct)
	if !ok {
		return fmt.Errorf("object %s: value of flow_cells is no struct", o.name)
	}
	f := &flows{set: s, members: membersOf(cell), numbers: o.coll.Maps["flow_numbers"], vacant: o.coll.Maps["flow_free"], next: o.coll.Variables["flow_next"]}
	o.flows = f
	if f.cells, err = mapWords(o.coll.Maps["flow_cells"]); err != nil {
		return err
	}
	f.counts, err = mapWords(o.coll.Maps["flow_counts"])
	return err
}

// wantFlows follows whether any target wants flows. Connections that are older than the
// wish are found by a pass; series begin anew with each wish.
func (o *object) wantFlows() {
	f := o.flows
	if f == nil {
		return
	}
	before := f.wanted()
	f.on, f.whole = f.set.masks(slices.DeleteFunc(slices.Clone(o.wanted), func(f *metric.Family) bool { return !f.Keyed() }))
	if f.wanted() == before {
		return
	}
	if before {
		f.series = [Slots][]*flowSeries{}
		for _, c := range f.known {
			if c != nil {
				c.into = nil
			}
		}
		return
	}
	o.ticks = 0
}

func (f *flows) wanted() bool { return f != nil && f.on|f.whole != 0 }

func (f *flows) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.cells.unmap(), f.counts.unmap())
}

func (f *flows) cell(n int) words { return f.cells[n*flowWords:][:flowWords] }

// otherCell is the cell for what is beyond a bound.
func otherCell(slot uint32, side int) int { return flowCells + 2*int(slot) + side }

func used(cell words) bool { return atomic.LoadUint64(&cell[flowSerial])>>32 != 0 }

// highest is above the number of each cell that was ever used.
func (f *flows) highest() int {
	var n uint32
	_ = f.next.Get(&n) // it is mapped: cannot fail
	return min(int(n), flowCells)
}

// each calls do for the cells in use, and for those for all others of slots that count flows or did.
func (f *flows) each(do func(n int, cell words)) {
	for n := range f.highest() {
		if cell := f.cell(n); used(cell) {
			do(n, cell)
		}
	}
	for slot := range uint32(Slots) {
		for side := range 2 {
			if n := otherCell(slot, side); f.known[n] != nil || f.counting(slot) {
				do(n, f.cell(n))
			}
		}
	}
}

// reset makes cells ready for a pass.
func (f *flows) reset() {
	f.each(func(_ int, cell words) { clear(cell[flowGauges:]) })
}

// follow takes in what cells have counted since the last time, after a pass.
func (f *flows) follow() error {
	var faults []error
	clear(f.names[:])
	for slot := range f.series {
		for _, s := range f.series[slot] {
			clear(s.values[flowGauges-flowCounters:])
			s.cells = 0
		}
	}
	f.each(func(n int, cell words) { faults = append(faults, f.take(n, cell)) })
	for slot := range f.series {
		if len(f.series[slot]) > 0 {
			f.forget(uint32(slot))
		}
	}
	return errors.Join(faults...)
}

// forget drops the series of a slot that no cell has any more: each that comes back
// starts from 0.
func (f *flows) forget(slot uint32) {
	kept := f.series[slot][:0]
	for _, s := range f.series[slot] {
		if s.cells > 0 {
			kept = append(kept, s)
		}
	}
	clear(f.series[slot][len(kept):])
	f.series[slot] = kept
}

// counting reports whether a slot's flows are counted.
func (f *flows) counting(slot uint32) bool {
	rec := f.set.slots[int(slot)*slotWords:]
	return rec[0]&f.on|rec[wholeWord]&f.whole != 0
}

// gen is the generation of a slot.
func (f *flows) gen(slot uint32) uint32 { return uint32(f.set.slots[int(slot)*slotWords+1]) }

func (f *flows) take(n int, cell words) error {
	c := f.known[n]
	if c == nil {
		c = &flowCell{flowKey: f.key(n, cell)}
		if c.other {
			c.idle = flowIdle // it is in use only once there was something for it
		}
		f.known[n] = c
	}
	if c.leaving {
		atomic.AddUint64(&cell[flowSerial], 1) // whoever found it at the last moment
	}
	var more [flowGauges - flowCounters]uint64
	moved := cell[flowGauges] > 0
	for i := range more {
		now := atomic.LoadUint64(&cell[flowCounters+i])
		more[i] = now - c.last[i]
		c.last[i] = now
		moved = moved || more[i] > 0
	}
	if c.idle++; moved {
		c.idle = 0
	}
	if c.other {
		f.beyond += more[f.members["connects"]-flowCounters] + more[f.members["failures"]-flowCounters]
	}
	f.add(c, cell, more[:])
	switch {
	case c.leaving:
		return f.free(n, cell)
	case c.idle >= flowIdle && !c.other:
		return f.leave(n, c, cell)
	}
	return nil
}

// add adds what a cell has counted to its series, if it has one.
func (f *flows) add(c *flowCell, cell words, more []uint64) {
	ok := c.gen == f.gen(c.slot) && f.counting(c.slot) && (!c.other || c.idle < flowIdle)
	if ok {
		ok = f.label(c)
	}
	if !ok {
		c.into = nil
		return
	}
	if c.into == nil || c.into.labels != c.labels {
		c.into = f.find(c.slot, c.labels)
	}
	c.into.cells++
	for i, v := range more {
		c.into.values[i] += v
	}
	for i := flowGauges; i < flowWords; i++ {
		c.into.values[i-flowCounters] += cell[i]
	}
}

func (f *flows) find(slot uint32, labels [2]string) *flowSeries {
	for _, s := range f.series[slot] {
		if s.labels == labels {
			return s
		}
	}
	s := &flowSeries{labels: labels}
	f.series[slot] = append(f.series[slot], s)
	return s
}

// leave makes a cell one that no connection finds any more. What was on its way to it
// is there at the next tick.
func (f *flows) leave(n int, c *flowCell, cell words) error {
	c.leaving = true
	key := make([]byte, flowSerial*8)
	for i := range flowSerial {
		binary.NativeEndian.PutUint64(key[8*i:], cell[i])
	}
	err := f.numbers.Delete(key)
	atomic.AddUint64(&cell[flowSerial], 1)
	atomic.AddUint64(&f.counts[c.slot], ^uint64(0))
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget flow %d: %w", n, err)
	}
	return nil
}

// free gives a cell back to the kernel side.
func (f *flows) free(n int, cell words) error {
	f.known[n] = nil
	serial := uint64(uint32(cell[flowSerial]))
	clear(cell)
	atomic.StoreUint64(&cell[flowSerial], serial) // not used, and others than before
	if err := f.vacant.Update(nil, uint32(n), ebpf.UpdateAny); err != nil {
		return fmt.Errorf("free flow %d: %w", n, err)
	}
	return nil
}

// clear gives the cells of a slot back.
func (f *flows) clear(slot uint32) {
	if f == nil {
		return
	}
	for n := range f.highest() {
		cell := f.cell(n)
		if uint32(cell[2]) != slot || !used(cell) {
			continue
		}
		if f.known[n] == nil {
			f.known[n] = &flowCell{flowKey: f.key(n, cell)}
		}
		if c := f.known[n]; !c.leaving {
			_ = f.leave(n, c, cell) // the key's generation is over: nobody looks for it
		}
	}
	for side := range 2 {
		n := otherCell(slot, side)
		clear(f.cell(n))
		f.known[n] = nil
	}
	f.series[slot] = nil
}

// read appends what the flows of a slot hold of a family.
func (f *flows) read(family *metric.Family, slot uint32, dst []metric.Reading) []metric.Reading {
	at := f.members[cellOf(family)] - flowCounters
	for _, s := range f.series[slot] {
		v := s.values[at]
		if family.Over != "" {
			v /= max(1, s.values[f.members[family.Over]-flowCounters])
		}
		dst = append(dst, metric.Reading{Family: family, Labels: s.labels, Value: v})
	}
	return dst
}
