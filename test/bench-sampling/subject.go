package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
	"viperprobe.dev/viperprobe/test/rig"
)

// A mode is how the events of a family are looked at.
type mode struct {
	kind  string // "off": nothing is attached; "windows"; "1 in n"
	ratio float64
}

// period is that of windows: what the agent has at an interval of a second.
const period = 100 * time.Millisecond

// nobody is the mode in which nothing is attached, never that in which the window stays
// closed: what is left of a family's cost by windows at least.
var (
	nobody = mode{"off", 0}
	never  = mode{"windows", 0}
)

// modes are all that are compared, everything first.
func (b *bench) modes() []mode {
	all := []mode{nobody, {"windows", 1}}
	for _, kind := range []string{"windows", "1 in n"} {
		for _, ratio := range b.ratios {
			all = append(all, mode{kind, ratio})
		}
	}
	return all
}

func (m mode) String() string {
	switch {
	case m == nobody:
		return "nothing attached"
	case m == never:
		return "windows, never open"
	case m.ratio == 1:
		return "everything"
	}
	return m.kind + ", " + number(m.ratio)
}

// A subject is a cgroup that is measured by package probe itself.
type subject struct {
	set      *probe.Set
	families map[string]*metric.Family
	group    *rig.Group
	slot     uint32
}

func newSubject(h *cgroup.Host) (*subject, error) {
	s := &subject{families: map[string]*metric.Family{}}
	families := catalogue.Families()
	for _, f := range families {
		s.families[f.Name] = f
	}
	var err error
	if s.set, err = probe.Open(probe.Options{Families: families, Object: catalogue.Object}); err != nil {
		return nil, err
	}
	if s.group, err = rig.NewGroup(h, fmt.Sprintf("/vp-sampling-%d", os.Getpid()), "cpu", "cpuacct"); err != nil {
		return s, err
	}
	var st unix.Stat_t
	if err := unix.Stat(s.group.V2, &st); err != nil {
		return s, err
	}
	if s.slot, err = s.set.TakeSlot(); err != nil {
		return s, err
	}
	return s, s.set.SetCgroup(st.Ino, probe.Cgroup{Slot: s.slot})
}

func (s *subject) close() error {
	var err error
	if s.group != nil {
		err = s.group.Remove()
	}
	return errors.Join(err, s.set.Close())
}

func nothing([]*metric.Family) {}

// closer is a family that nobody wants here: the window of it alone keeps others closed.
const closer = "udp_bytes"

// apply has the named families looked at as m says, and those of beside whole.
func (s *subject) apply(m mode, names []string, beside ...string) error {
	if m == nobody {
		return errors.Join(s.set.Windows(nil, period, nothing), s.set.Want(nil))
	}
	var wanted []*metric.Family
	windows, shares := map[*metric.Family]float64{}, map[*metric.Family]float64{}
	for _, name := range names {
		f := s.families[name]
		wanted = append(wanted, f)
		switch {
		case m == never:
			windows[s.families[closer]] = 0.5
		case m.kind == "windows":
			windows[f] = m.ratio
		default:
			windows[f], shares[f] = 1, m.ratio
		}
	}
	for _, name := range beside {
		wanted = append(wanted, s.families[name])
		if s.families[name].Gated() {
			windows[s.families[name]] = 1
		}
	}
	if err := errors.Join(s.set.Want(wanted), s.set.Windows(windows, period, nothing)); err != nil {
		return err
	}
	s.set.Thin(s.slot, shares, nothing)
	return s.set.Switch(s.slot, wanted)
}

// seen is how many events of a family have been looked at so far, over its labels.
func (s *subject) seen(name string) (n float64) {
	for _, r := range s.set.Read(s.slot, []*metric.Family{s.families[name]}, nil) {
		n += float64(r.Value)
		if r.Hist != nil {
			n += float64(r.Hist.Count())
		}
	}
	return n
}

// An empty program is on a hook beside ours.
type empty struct {
	program *ebpf.Program
	link    link.Link
}

// empties attaches one to each tracepoint of a family.
func (s *subject) empties(name string) (map[string]empty, error) {
	all := map[string]empty{}
	for _, st := range s.set.Status() {
		if st.Family.Name != name {
			continue
		}
		for hook := range strings.SplitSeq(st.Hook, " + ") {
			at, ok := strings.CutPrefix(hook, "tp_btf/")
			if !ok {
				continue
			}
			p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
				Name: "vp_empty", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: at, License: "GPL",
				Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
			})
			if err != nil {
				return all, err
			}
			l, err := link.AttachTracing(link.TracingOptions{Program: p})
			if err != nil {
				return all, errors.Join(err, p.Close())
			}
			all[at] = empty{p, l}
		}
	}
	return all, nil
}

func (e empty) close() error { return errors.Join(e.link.Close(), e.program.Close()) }

// handler is the BPF time that the programs of a question's family take over empty ones,
// in ns for each hit of the busiest of their hooks, while a load runs in the given mode.
// Whatever runs first on a hook finds caches cold that whatever runs second finds warm: so
// ours are measured ahead of the empty ones, then behind them.
func (s *subject) handler(q question, m mode, limit time.Duration) (float64, error) {
	if err := s.apply(m, []string{q.family}, q.beside...); err != nil {
		return 0, err
	}
	empties, err := s.empties(q.family)
	defer func() {
		for _, e := range empties {
			e.close()
		}
	}()
	if err != nil {
		return 0, err
	}
	var costs []probe.Cost
	for range 2 {
		w := s.set.Watch()
		_, err := start(s.group, q.role, limit, 0)
		ran, fault := w.End()
		costs = append(costs, ran...)
		// Attached anew, ours come behind.
		if err := errors.Join(err, fault, s.apply(nobody, nil), s.apply(m, []string{q.family}, q.beside...)); err != nil {
			return 0, err
		}
	}
	var runs, ns, busiest float64
	for _, e := range empties { // they are new: nothing is to be taken off
		st, err := e.program.Stats()
		if err != nil {
			return 0, err
		}
		runs, ns, busiest = runs+float64(st.RunCount), ns+float64(st.Runtime), max(busiest, float64(st.RunCount))
	}
	var net float64
	for _, c := range costs {
		if slices.Contains(s.families[q.family].Rungs[0], c.Program) {
			net += float64(c.Billed) - float64(c.Runs)*ns/runs
		}
	}
	return net / busiest, nil
}
