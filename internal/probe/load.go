package probe

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// chunk is how many slots' histograms are made together (vp.h: VP_CHUNK).
const chunk = 16

// kernelTypes is what the kernel says of its types, read once for all hook groups
// that are loaded together. It is megabytes, and not kept: nothing else needs it.
type kernelTypes struct {
	cache  *btf.Cache
	kernel *btf.Spec
}

func (s *Set) openTypes() (err error) {
	if s.types != nil {
		return nil
	}
	t := &kernelTypes{cache: btf.NewCache()}
	if t.kernel, err = t.cache.Kernel(); err != nil {
		return fmt.Errorf("%w (%v)", ErrNoBTF, err)
	}
	s.types = t
	return nil
}

func (s *Set) spec(name string) (*ebpf.CollectionSpec, error) {
	elf, err := s.object(name)
	if err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(elf))
	if err != nil {
		return nil, fmt.Errorf("read object of hook group %s: %w", name, err)
	}
	return spec, nil
}

// load loads one hook group. It never fails as a whole without saying so for each
// of its families: what the kernel refuses is left out and the rest is tried.
func (s *Set) load(name string) *object {
	o := &object{name: name, cgroup2: s.cgroup2, families: s.of(name), rungs: map[*metric.Family][]string{}, faults: map[*metric.Family]error{}}
	spec, err := s.spec(name)
	if err != nil {
		o.failAll(err)
		return o
	}
	o.spec = spec
	if err := s.prepare(o); err != nil {
		o.failAll(err)
		return o
	}
	refused := map[string]error{}
	for program, p := range spec.Programs {
		if err := s.missing(p); err != nil {
			refused[program] = err
		}
	}
	for _, f := range o.families {
		if err := counts(f); err != nil {
			for _, program := range slices.Concat(f.Rungs...) {
				refused[program] = err
			}
		}
	}
	for {
		o.choose(refused)
		if len(o.rungs) == 0 {
			return o
		}
		err := s.build(o)
		if err == nil {
			return o
		}
		culprit := culprit(err)
		if _, again := refused[culprit]; culprit == "" || again {
			o.failAll(fmt.Errorf("load hook group %s: %w", name, explain(err)))
			return o
		}
		refused[culprit] = refusal(o.spec.Programs[culprit], err)
	}
}

// prepare sets what is known before load: sizes, copies and family bits.
func (s *Set) prepare(o *object) error {
	copies := map[bool]int{true: s.copies, false: 1}
	if v := o.spec.Variables["vp_copies"]; v != nil {
		if err := v.Set(uint32(s.copies)); err != nil {
			return fmt.Errorf("set vp_copies in %s: %w", o.name, err)
		}
	}
	if v := o.spec.Variables["vp_jiffy_ns"]; v != nil {
		if err := v.Set(jiffy()); err != nil {
			return fmt.Errorf("set vp_jiffy_ns in %s: %w", o.name, err)
		}
	}
	for _, f := range o.families {
		if f.Gated() {
			if err := s.prepareGate(o, f); err != nil {
				return err
			}
		}
		if f.Keyed() {
			continue // its cells are of another kind: apps, flows
		}
		if f.Kind == metric.Histogram {
			m := o.spec.Maps[f.Name]
			if m == nil || m.InnerMap == nil {
				return fmt.Errorf("object %s has no histogram %s: rebuild it with `make gen`", o.name, f.Name)
			}
			m.InnerMap.MaxEntries = uint32(chunk * labelCount(f) * copies[f.PerCPU])
			m.MaxEntries = Slots / chunk
		} else if m := o.spec.Maps[o.name+"_cells"]; m != nil {
			m.MaxEntries = uint32(Slots * copies[f.PerCPU])
		}
	}
	return s.window(o)
}

// prepareGate tells the object where the switch of a family is.
func (s *Set) prepareGate(o *object, f *metric.Family) error {
	on, whole := o.spec.Variables["on_"+f.Name], o.spec.Variables["vp_whole"]
	if on == nil || whole == nil {
		return fmt.Errorf("object %s has no variable on_%s, or is of an older vp.h: rebuild it with `make gen`", o.name, f.Name)
	}
	if err := on.Set(uint64(1) << s.bits[f].n); err != nil {
		return fmt.Errorf("set on_%s in %s: %w", f.Name, o.name, err)
	}
	if s.bits[f].whole {
		if err := whole.Set(uint32(1)); err != nil {
			return fmt.Errorf("set vp_whole in %s: %w", o.name, err)
		}
	}
	return nil
}

// familiesMark stands in a program for the bits of its families (vp.h: vp_families).
const familiesMark = 0x76705f66616d6c79

// window tells programs that leave by closed windows whose windows those are.
func (s *Set) window(o *object) error {
	for name, p := range o.spec.Programs {
		of := slices.DeleteFunc(slices.Clone(o.families), func(f *metric.Family) bool { return !slices.Contains(slices.Concat(f.Rungs...), name) })
		mask, _ := s.masks(of)
		for i := range p.Instructions {
			in := &p.Instructions[i]
			if !in.OpCode.IsDWordLoad() || in.Constant != familiesMark {
				continue
			}
			if mask == 0 && len(of) > 0 {
				return fmt.Errorf("program %s of object %s is VP_WINDOWED, but no family in it can be sampled: use BPF_PROG", name, o.name)
			}
			in.Constant = int64(mask)
		}
	}
	return nil
}

// build loads the programs of the chosen rungs.
func (s *Set) build(o *object) error {
	spec := o.spec.Copy()
	for name := range spec.Programs {
		if !o.needs(name) {
			delete(spec.Programs, name)
		}
	}
	coll, err := s.instantiate(spec)
	if err != nil {
		return err
	}
	o.coll = coll
	return o.open(s)
}

// instantiate loads an object with the maps that all share.
func (s *Set) instantiate(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	replace := map[string]*ebpf.Map{}
	for name, m := range s.shared {
		if spec.Maps[name] != nil {
			replace[name] = m
		}
	}
	return ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replace, Cache: s.types.cache})
}

// missing says why a program cannot be attached on this kernel, as far as its BTF
// tells.
func (s *Set) missing(p *ebpf.ProgramSpec) error {
	switch {
	case p.AttachType == ebpf.AttachTraceUprobeMulti:
		if err := features.HaveBPFLinkUprobeMulti(); err != nil {
			return fmt.Errorf("this kernel cannot attach many uprobes at once: %w", err)
		}
	case p.AttachType == ebpf.AttachTraceRawTp:
		var t *btf.Typedef
		if s.types.kernel.TypeByName("btf_trace_"+p.AttachTo, &t) != nil {
			return fmt.Errorf("this kernel has no tracepoint %s", p.AttachTo)
		}
	case p.AttachType == ebpf.AttachTraceFEntry || p.AttachType == ebpf.AttachTraceFExit:
		var f *btf.Func
		if s.types.kernel.TypeByName(p.AttachTo, &f) != nil {
			return fmt.Errorf("this kernel has no function %s to attach to", p.AttachTo)
		}
	case p.AttachType == ebpf.AttachTraceIter:
		var f *btf.Func
		if s.types.kernel.TypeByName("bpf_iter_"+p.AttachTo, &f) != nil {
			return fmt.Errorf("this kernel has no iterator %s", p.AttachTo)
		}
	}
	return nil
}

var programInError = regexp.MustCompile(`program (\w+):`)

// culprit is the program that a load error is about, "" if it names none.
func culprit(err error) string {
	m := programInError.FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	return m[1]
}

// refusal is why the kernel did not load one program of many. Rights are there then, since
// those that know targets were loaded ahead of all.
func refusal(p *ebpf.ProgramSpec, err error) error {
	if errors.Is(err, unix.EPERM) && (p.AttachType == ebpf.AttachTraceFEntry || p.AttachType == ebpf.AttachTraceFExit) {
		return fmt.Errorf("this kernel lets no program attach to functions (%s): %w", p.AttachTo, unix.EPERM)
	}
	return explain(err)
}

// explain adds to a refusal of the kernel what to do about it.
func explain(err error) error {
	var v *ebpf.VerifierError
	switch {
	case errors.As(err, &v):
		return fmt.Errorf("the kernel's verifier refused it: %w", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("not permitted: run as root or with CAP_BPF and CAP_PERFMON, or this kernel closes the hook: %w", err)
	}
	return err
}

func labelCount(f *metric.Family) int {
	n := 1
	for _, l := range f.Labels {
		n *= l.Cells()
	}
	return n
}

// choose picks, for each family, the first rung of its ladder that was not
// refused.
func (o *object) choose(refused map[string]error) {
	clear(o.rungs)
	for _, f := range o.families {
		var why []string
		for _, rung := range f.Rungs {
			i := slices.IndexFunc(rung, func(p string) bool { return refused[p] != nil || o.spec.Programs[p] == nil })
			if i < 0 {
				o.rungs[f] = rung
				delete(o.faults, f)
				break
			}
			if err := refused[rung[i]]; err != nil {
				why = append(why, err.Error())
			} else {
				why = append(why, "object has no program "+rung[i])
			}
		}
		if o.rungs[f] == nil {
			o.faults[f] = errors.New(strings.Join(why, "; "))
		}
	}
}
