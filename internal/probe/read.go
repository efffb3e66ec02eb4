package probe

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf/link"

	"viperprobe.dev/viperprobe/internal/metric"
)

const histWords = 1 + metric.Buckets

// passEvery is how many ticks lie between two passes over all descriptors.
const passEvery = 10

// Tick runs the iterators of all attached hook groups, so that the cells hold the
// present. Read follows it.
func (s *Set) Tick() error {
	var faults []error
	for _, o := range s.objects {
		faults = append(faults, o.learn(), o.set("vp_map", s.changed), o.tick(false))
	}
	return errors.Join(faults...)
}

// Pass makes the next Tick look through all descriptors for who holds which
// socket, as every tenth does.
func (s *Set) Pass() {
	for _, o := range s.objects {
		o.ticks = 0
	}
}

func (o *object) tick(first bool) error {
	if len(o.iters) == 0 {
		return nil
	}
	o.anew()
	if o.flows.wanted() {
		o.flows.reset()
	}
	var faults []error
	if first || o.ticks%passEvery == 0 {
		faults = append(faults, o.pass())
	}
	o.ticks++
	began := monotonic()
	for name, it := range o.iters {
		if o.due(name) {
			faults = append(faults, run(o.name, it))
		}
	}
	if o.flows.wanted() {
		faults = append(faults, o.flows.follow())
	}
	return errors.Join(append(faults, o.set("vp_passed", began))...)
}

// anew makes the words that a pass sets anew 0, and counts the tasks of the last one.
func (o *object) anew() {
	threads, counted := o.members["threads"]
	o.tasks = 0
	for slot := range Slots {
		cell := o.cells[slot*o.stride:]
		if counted {
			o.tasks += cell[threads]
		}
		for _, g := range o.gauges {
			cell[g] = 0
		}
	}
}

// walkLimit is up to how many tasks one walk over the kernel's list takes in, in which the
// kernel cannot give its CPU to another: some 3 ms.
const walkLimit = 10_000

// due reports whether an iterator is run each tick: a *_tick, or where there is a *_walk
// of the same name, which does the same for less, that as long as it is short.
func (o *object) due(name string) bool {
	short := o.tasks <= walkLimit
	if subject, ok := strings.CutSuffix(name, "_tick"); ok {
		return o.iters[subject+"_walk"] == nil || !short
	}
	return strings.HasSuffix(name, "_walk") && short
}

func (o *object) pass() error {
	for name, it := range o.iters {
		if strings.HasSuffix(name, "_pass") {
			o.passes++
			if err := errors.Join(o.set("vp_passing", o.passes), run(o.name, it), o.set("vp_pass", o.passes)); err != nil {
				return err
			}
		}
	}
	return nil
}

func run(object string, it *link.Iter) error {
	r, err := it.Open()
	if err != nil {
		return fmt.Errorf("open iterator of %s: %w", object, err)
	}
	defer r.Close()
	var none [64]byte // our iterators print nothing: the read is the run
	if _, err := r.Read(none[:]); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("run iterator of %s: %w", object, err)
	}
	return nil
}

// Read appends what the cells of a slot hold of the wanted families: totals since
// the slot was taken for counters and histograms, the last pass for gauges.
// Counters of a snapshot family may be read only after Tick.
func (s *Set) Read(slot uint32, wanted []*metric.Family, dst []metric.Reading) []metric.Reading {
	for _, f := range wanted {
		o := s.objects[f.Object]
		if o == nil || o.rungs[f] == nil {
			continue
		}
		if o.apps != nil {
			dst = o.apps.read(f, slot, dst)
			continue
		}
		if o.flows != nil && f.Keyed() {
			dst = o.flows.read(f, slot, dst)
			continue
		}
		met := sparse(f)
		for label := range labelCount(f) {
			values, named := o.labels(f, label)
			if !named || met && o.unmet(f, slot, label) {
				continue
			}
			r := metric.Reading{Family: f, Labels: values}
			if f.Kind == metric.Histogram {
				r.Hist = o.histogram(f, slot, label)
			} else {
				r.Value = o.value(f, slot, label)
			}
			dst = append(dst, r)
		}
	}
	return dst
}

// Activity is a number that grows from one Tick to the next while any task of the slot
// runs, comes, goes or waits for IO; ok is false where nothing passes over the tasks.
func (s *Set) Activity(slot uint32) (n uint64, ok bool) {
	o := s.objects["task"]
	if o == nil || len(o.iters) == 0 {
		return 0, false
	}
	return atomic.LoadUint64(&o.cells[int(slot)*o.stride+o.members["activity"]]), true
}

func (o *object) value(f *metric.Family, slot uint32, label int) uint64 {
	at := o.members[cellOf(f)] + label
	if !f.PerCPU {
		v := atomic.LoadUint64(&o.cells[int(slot)*o.stride+at])
		if f.Over != "" {
			if n := o.cells[int(slot)*o.stride+o.members[f.Over]]; n > 0 {
				return v / n
			}
			return 0
		}
		return v
	}
	var sum uint64
	for copy := range o.copies {
		sum += atomic.LoadUint64(&o.cells[(int(slot)*o.copies+copy)*o.stride+at])
	}
	return sum
}

func (o *object) histogram(f *metric.Family, slot uint32, label int) *metric.Hist {
	h := o.hists[f]
	var sum uint64
	counts := make([]uint64, metric.Buckets)
	for copy := range h.copies {
		cell := h.cell(slot, label, copy)
		if cell == nil {
			break
		}
		sum += cell[0]
		for i, c := range cell[1:] {
			counts[i] += c
		}
	}
	hist := metric.NewHist(sum, counts)
	hist.Counts = slices.Clone(hist.Counts)
	return &hist
}
