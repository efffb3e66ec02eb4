package probe

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// An object is one hook group, loaded.
type object struct {
	name     string
	cgroup2  string // mount point
	families []*metric.Family
	spec     *ebpf.CollectionSpec
	coll     *ebpf.Collection
	rungs    map[*metric.Family][]string // programs in use, by family
	wanted   []*metric.Family            // attached now
	faults   map[*metric.Family]error

	cells   words // <name>_cells, by mmap
	stride  int   // words a cell
	members map[string]int
	gauges  []int  // words that a pass sets anew
	tasks   uint64 // that the last pass over tasks counted
	perCPU  map[string]bool
	copies  int
	hists   map[*metric.Family]*histograms
	links   map[string]link.Link
	iters   map[string]*link.Iter
	epoch   uint32
	passes  uint32
	ticks   int
	found   map[string]*found // values of labels that are found at run time
	apps    *apps             // of the hook group app alone
	flows   *flows            // of the hook group socket alone
}

func (o *object) failAll(err error) {
	clear(o.rungs)
	for _, f := range o.families {
		o.faults[f] = err
	}
}

func (o *object) fault(f *metric.Family) error { return o.faults[f] }

func (o *object) needs(program string) bool {
	for _, rung := range o.rungs {
		if slices.Contains(rung, program) {
			return true
		}
	}
	return false
}

// hook names what a family is attached to, for people.
func (o *object) hook(f *metric.Family) string {
	var hooks []string
	for _, p := range o.rungs[f] {
		if h := o.spec.Programs[p].SectionName; !slices.Contains(hooks, h) {
			hooks = append(hooks, h)
		}
	}
	return strings.Join(hooks, " + ")
}

// open maps the object's cells after load.
func (o *object) open(s *Set) error {
	o.links, o.iters, o.hists = map[string]link.Link{}, map[string]*link.Iter{}, map[*metric.Family]*histograms{}
	o.copies, o.perCPU = s.copies, map[string]bool{}
	if err := o.openFound(); err != nil {
		return err
	}
	if m := o.coll.Maps[o.name+"_cells"]; m != nil {
		var err error
		if o.cells, err = mapWords(m); err != nil {
			return err
		}
		if err := o.layout(o.spec.Maps[o.name+"_cells"].Value); err != nil {
			return err
		}
	}
	for f := range o.rungs {
		if f.Tier == metric.App {
			return o.openApps()
		}
		if f.Keyed() {
			if o.flows == nil {
				if err := o.openFlows(s); err != nil {
					return err
				}
			}
			continue
		}
		if f.Kind == metric.Histogram {
			copies := 1
			if f.PerCPU {
				copies = o.copies
			}
			o.hists[f] = newHistograms(o.coll.Maps[f.Name], o.spec.Maps[f.Name].InnerMap, labelCount(f), copies)
		}
	}
	return nil
}

// layout finds the members of the cell by their names in the object's BTF.
func (o *object) layout(t btf.Type) error {
	cell, ok := btf.UnderlyingType(t).(*btf.Struct)
	if !ok {
		return fmt.Errorf("object %s: value of %s_cells is %v, want a struct of u64", o.name, o.name, t)
	}
	o.stride, o.members = int(cell.Size)/8, membersOf(cell)
	for f := range o.rungs {
		if f.Kind == metric.Histogram || f.Keyed() {
			continue
		}
		at, ok := o.members[cellOf(f)]
		if !ok {
			return fmt.Errorf("object %s: struct %s has no member %s", o.name, cell.Name, cellOf(f))
		}
		o.perCPU[cellOf(f)] = f.PerCPU
		if f.Kind == metric.Gauge {
			for i := range labelCount(f) {
				o.gauges = append(o.gauges, at+i)
			}
			if f.Over != "" {
				o.gauges = append(o.gauges, o.members[f.Over])
			}
		}
	}
	return nil
}

// membersOf is where each member of a cell is, in words.
func membersOf(cell *btf.Struct) map[string]int {
	at := map[string]int{}
	for _, m := range cell.Members {
		at[m.Name] = int(m.Offset.Bytes()) / 8
	}
	return at
}

func cellOf(f *metric.Family) string {
	if f.Cell != "" {
		return f.Cell
	}
	return f.Name
}

// attach makes the links be those of the wanted families.
func (o *object) attach(wanted []*metric.Family) error {
	programs := map[string]bool{}
	o.wanted = wanted
	for _, f := range wanted {
		for _, p := range o.rungs[f] {
			if !o.uprobe(p) {
				programs[p] = true
			}
		}
	}
	o.wantFlows()
	faults := o.detach(programs)
	fresh := len(o.links)+len(o.iters) == 0
	if fresh && len(programs) > 0 {
		if err := o.begin(); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		if err := o.link(name); err != nil {
			faults = append(faults, err)
		}
	}
	if fresh && len(programs) > 0 {
		faults = append(faults, o.tick(true))
	}
	return errors.Join(faults...)
}

func (o *object) detach(keep map[string]bool) []error {
	var faults []error
	for name, l := range o.links {
		if !keep[name] {
			faults = append(faults, l.Close())
			delete(o.links, name)
			o.uncount(name, o.copies)
		}
	}
	for name, l := range o.iters {
		if !keep[name] {
			faults = append(faults, l.Close())
			delete(o.iters, name)
		}
	}
	return faults
}

// begin starts a new epoch: what storage holds of an earlier one is stale.
func (o *object) begin() error {
	o.epoch++
	o.passes = 0
	return errors.Join(o.set("vp_epoch", o.epoch), o.set("vp_begin", monotonic()), o.set("vp_passed", monotonic()))
}

// set sets a variable that the object may not have.
func (o *object) set(name string, v any) error {
	if o.coll == nil || o.coll.Variables[name] == nil {
		return nil
	}
	if err := o.coll.Variables[name].Set(v); err != nil {
		return fmt.Errorf("set %s in %s: %w", name, o.name, err)
	}
	return nil
}

func (o *object) link(name string) error {
	if o.links[name] != nil || o.iters[name] != nil {
		return nil
	}
	var err error
	if o.spec.Programs[name].AttachType == ebpf.AttachTraceIter {
		opts := link.IterOptions{Program: o.coll.Programs[name]}
		switch o.spec.Programs[name].AttachTo {
		case "bpf_sk_storage_map":
			opts.Map = o.storage(ebpf.SkStorage)
		case "bpf_map_elem":
			opts.Map = cmp.Or(o.coll.Maps[o.name+"_pending"], o.coll.Maps[o.name+"_once"])
		}
		var it *link.Iter
		if it, err = link.AttachIter(opts); err == nil {
			o.iters[name] = it
		}
	} else {
		var l link.Link
		if err = o.count(name, o.copies); err == nil {
			l, err = o.hang(o.coll.Programs[name], o.spec.Programs[name].AttachType)
		}
		if err == nil {
			o.links[name] = l
		} else {
			o.uncount(name, o.copies)
		}
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("attach %s/%s: %w", o.name, name, explain(err))
	for f, rung := range o.rungs {
		if slices.Contains(rung, name) {
			o.faults[f] = err
			delete(o.rungs, f)
		}
	}
	return err
}

// hang attaches a program: on packets to all sockets, those of the root cgroup and
// the cgroups in it, or to what its section names.
func (o *object) hang(p *ebpf.Program, at ebpf.AttachType) (link.Link, error) {
	if at != ebpf.AttachCGroupInetEgress && at != ebpf.AttachCGroupInetIngress {
		return link.AttachTracing(link.TracingOptions{Program: p})
	}
	l, err := link.AttachCgroup(link.CgroupOptions{Path: o.cgroup2, Attach: at, Program: p})
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("not permitted: run as root or add CAP_NET_ADMIN: %w", err)
	}
	return l, err
}

func (o *object) storage(kind ebpf.MapType) *ebpf.Map {
	for name, m := range o.spec.Maps {
		if m.Type == kind {
			return o.coll.Maps[name]
		}
	}
	return nil
}

func (o *object) close() error {
	faults := o.detach(nil)
	for _, h := range o.hists {
		faults = append(faults, h.close())
	}
	faults = append(faults, o.cells.unmap(), o.apps.close(), o.flows.close())
	if o.coll != nil {
		o.coll.Close()
	}
	return errors.Join(faults...)
}

// monotonic is the clock of task->start_time and bpf_ktime_get_ns.
func monotonic() uint64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail for this clock
	return uint64(t.Nano())
}

// jiffy is the length of the kernel's timer tick in ns: the coarse clocks move by it.
func jiffy() uint64 {
	var t unix.Timespec
	_ = unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &t) // cannot fail for this clock
	return uint64(t.Nano())
}
