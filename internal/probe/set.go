// Package probe loads, attaches, gates and reads BPF objects (cilium/ebpf). One
// loader and one reader serve all families: what differs between them is in the
// catalogue's rows.
package probe

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Slots is the number of targets that the kernel side has room for, the
// remainder and the node among them.
const Slots = 1024

// Slots that are no target's.
const (
	RemainderSlot = 0 // whatever is in no target
	NodeSlot      = 1
	firstSlot     = 2
)

// Options of Open. Object hands out compiled objects by hook group, Cgroup2 is where
// cgroup v2 is mounted: programs on packets are attached to its root. NameOf is what the
// target of a slot is called in labels, "" when it has no name; it is asked in Tick.
type Options struct {
	Families []*metric.Family
	Object   func(name string) ([]byte, error)
	Cgroup2  string
	NameOf   func(slot uint32) string
}

// A Set is the kernel side of one agent: targets' slots, hook groups that were
// wanted at some time, and their links. Its methods are not safe for concurrent
// use, except Events.
type Set struct {
	families []*metric.Family
	bits     map[*metric.Family]bit // of gated families
	object   func(string) ([]byte, error)
	cgroup2  string
	nameOf   func(slot uint32) string // nil: slots have their numbers

	types   *kernelTypes     // while hook groups are loaded
	core    *ebpf.Collection // cgroup.bpf.c: targets
	links   []link.Link      // of core
	slots   words            // vp_slots, by mmap
	direct  words            // vp_direct, by mmap
	shared  map[string]*ebpf.Map
	objects map[string]*object
	copies  int    // of per-CPU cells
	changed uint32 // how often user space changed whose a cgroup is
	windows windows
	clock   float64 // ns that the kernel's statistics bill for themselves in a run; 0: not measured
}

// ErrNoBTF says that the kernel does not describe its types, so that no BPF
// family can work.
var ErrNoBTF = errors.New("kernel has no BTF (/sys/kernel/btf/vmlinux): only the file tier works; use a kernel with CONFIG_DEBUG_INFO_BTF=y")

// Open loads the part that knows targets and attaches it. No family is loaded
// before it is wanted. The caller closes the set.
func Open(o Options) (*Set, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count possible CPUs: %w", err)
	}
	return openOn(cpus, o)
}

// openOn is Open with per-CPU cells for so many CPUs: no less than are possible.
func openOn(cpus int, o Options) (*Set, error) {
	s := &Set{copies: cpus, families: o.Families, object: o.Object, cgroup2: o.Cgroup2, nameOf: o.NameOf,
		bits: map[*metric.Family]bit{}, objects: map[string]*object{}, shared: map[string]*ebpf.Map{}}
	// Kernels before 5.11 charge maps to RLIMIT_MEMLOCK; newer ones ignore it.
	_ = rlimit.RemoveMemlock()
	if err := s.openTypes(); err != nil {
		return nil, err
	}
	defer func() { s.types = nil }()
	if err := s.number(); err != nil {
		return nil, err
	}
	if err := s.loadCore(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Set) loadCore() error {
	spec, err := s.spec("cgroup")
	if err != nil {
		return err
	}
	s.core, err = ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Cache: s.types.cache})
	if err != nil {
		return fmt.Errorf("load hook group cgroup: %w", explain(err))
	}
	for _, name := range sharedMaps {
		s.shared[name] = s.core.Maps[name]
	}
	if s.slots, err = mapWords(s.core.Maps["vp_slots"]); err != nil {
		return err
	}
	if s.direct, err = mapWords(s.core.Maps["vp_direct"]); err != nil {
		return err
	}
	if err := s.seed(); err != nil {
		return err
	}
	for slot := uint32(Slots - 1); slot >= firstSlot; slot-- { // a stack: the lowest comes first
		if err := s.core.Maps["vp_free"].Update(nil, slot, ebpf.UpdateAny); err != nil {
			return fmt.Errorf("fill the stack of free slots: %w", err)
		}
	}
	for _, name := range []string{"cgroup_release", "cgroup_rmdir", "cgroup_mkdir"} {
		l, err := link.AttachTracing(link.TracingOptions{Program: s.core.Programs[name]})
		if err != nil {
			return fmt.Errorf("attach %s: %w", name, explain(err))
		}
		s.links = append(s.links, l)
	}
	return nil
}

// sharedMaps are one for all objects.
var sharedMaps = []string{"vp_cgroups", "vp_cgroups1", "vp_direct", "vp_slots", ".data.vp"}

// Close detaches and unloads everything.
func (s *Set) Close() error {
	var faults []error
	for _, o := range s.objects {
		faults = append(faults, o.close())
	}
	for _, l := range s.links {
		faults = append(faults, l.Close())
	}
	faults = append(faults, s.slots.unmap(), s.direct.unmap())
	for _, c := range []*ebpf.Collection{s.windows.coll, s.core} {
		if c != nil {
			c.Close()
		}
	}
	return errors.Join(faults...)
}

// Want makes the given families, and no others, work: hook groups are loaded when
// first wanted, programs attached at the first want and detached at the last.
// Families that this kernel refuses are reported in Status and leave the rest be.
func (s *Set) Want(families []*metric.Family) error {
	byObject := map[string][]*metric.Family{}
	for _, f := range families {
		if f.Object != "" {
			byObject[f.Object] = append(byObject[f.Object], f)
		}
	}
	var faults []error
	defer func() { s.types = nil }()
	for name := range byObject {
		if s.objects[name] != nil {
			continue
		}
		if err := s.openTypes(); err != nil {
			return err
		}
		s.objects[name] = s.load(name)
	}
	for name, o := range s.objects {
		on, whole := s.masks(byObject[name]) // of one object in one of the two words
		if err := errors.Join(o.set("vp_wanted", on|whole), o.attach(byObject[name])); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// A Status says whether a family works here, by which hook, or why not.
type Status struct {
	Family *metric.Family
	Works  bool
	Hook   string // "tp_btf/sched_switch + iter/task"
	Reason string
}

// Status tells about every BPF family of the catalogue whose hook group was
// loaded.
func (s *Set) Status() []Status {
	var out []Status
	for _, f := range s.families {
		o := s.objects[f.Object]
		if o == nil {
			continue
		}
		st := Status{Family: f, Works: o.fault(f) == nil}
		if st.Works {
			st.Hook = o.hook(f)
		} else {
			st.Reason = o.fault(f).Error()
		}
		out = append(out, st)
	}
	return out
}

// of lists the catalogue's families of a hook group.
func (s *Set) of(object string) []*metric.Family {
	return slices.DeleteFunc(slices.Clone(s.families), func(f *metric.Family) bool { return f.Object != object })
}
