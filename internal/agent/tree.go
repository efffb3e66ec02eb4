package agent

import (
	"errors"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// drainTime is how long a removed target may be referred to (by sockets that
// linger, by IO in flight) before it is given up.
const drainTime = 60 * time.Second

// A tree is every cgroup of the machine and the target that each belongs to.
type tree struct {
	a         *Agent
	groups    map[uint64]*group // by cgroup id
	paths     map[string]*group // the living, by path
	targets   []*target         // the node and the remainder first
	bySlot    map[uint32]*target
	held      map[uint32]bool      // slots that groups hold
	templates map[string]*template // by the families that they want, and their ratios
	waiting   []*target            // for a name
	crowded   []*group             // would be targets, but all slots are taken
	names     *cgroup.Names
	restarts  restarts
	drain     time.Duration
	blkio     int              // v1 hierarchy of block IO; 0: there is none
	future    []*metric.Family // what templates switch on
	sampling  bool             // some family of some target is sampled
	attached  map[*metric.Family]bool
	highest   uint32    // slot that was ever a target's or a template's
	edition   int       // of the patterns
	left      []*target // that are no more, as the worker of application probes must hear
	lost      uint64    // events that the kernel side could not tell, as of the last resync
}

// A group is one cgroup.
type group struct {
	id      uint64
	path    string
	given   uint32 // slot in which the kernel side counts it so far
	held    uint32 // slot that the kernel side gave it although it is no target; 0: none
	levels  uint16
	target  *target // nil: the remainder
	removed time.Time
}

func newTree(a *Agent) tree {
	blkio := 0
	if a.host.V1["blkio"] != "" {
		var err error
		if blkio, err = a.host.Hierarchy("blkio"); err != nil {
			a.log.Warn("block IO counts for the node", "err", err)
		}
	}
	return tree{
		a: a, groups: map[uint64]*group{}, paths: map[string]*group{}, bySlot: map[uint32]*target{}, held: map[uint32]bool{},
		templates: map[string]*template{}, names: &cgroup.Names{Host: a.host}, restarts: restarts{known: map[string]*identity{}}, drain: drainTime, blkio: blkio,
	}
}

// resync makes the tree be what is on the machine: at the start, and when events
// were lost.
func (t *tree) resync(now time.Time) error {
	seen := map[uint64]bool{}
	err := t.a.host.Walk(func(id uint64, path string) error {
		seen[id] = true
		if t.groups[id] != nil {
			return nil
		}
		return t.add(&group{id: id, path: path, given: t.given(id)}, now, false)
	})
	if err != nil {
		return err
	}
	for id, g := range t.groups {
		if !seen[id] && g.removed.IsZero() {
			t.remove(g, now)
		}
	}
	return nil
}

// event follows one change that the kernel side told.
func (t *tree) event(e probe.Event, now time.Time) {
	g := t.groups[e.ID]
	switch {
	case e.Kind == probe.Made && g == nil:
		if err := t.add(&group{id: e.ID, path: e.Path, given: e.Slot}, now, true); err != nil {
			t.a.log.Error("cgroup not measured", "cgroup", e.Path, "err", err)
		}
	case e.Kind == probe.Removed && g != nil:
		t.remove(g, now)
	case e.Kind == probe.Released && g != nil:
		t.remove(g, now)
		t.release(g)
	}
}

// add takes a cgroup into the tree. The kernel side may have decided already
// whose it is, by its parent alone; the path decides.
func (t *tree) add(g *group, now time.Time, born bool) error {
	t.groups[g.id], t.paths[g.path] = g, g
	place := t.a.host.Place(g.path)
	switch {
	case g.path == "/":
		t.addRoot(g, now)
	case place.Role == cgroup.Own:
		return t.own(g, now, born)
	case place.Role == cgroup.Inherit:
		if p := t.parent(g.path); p != nil {
			g.target = p.target
		}
	}
	if place.Role == cgroup.Parent {
		g.levels = uint16(place.Levels)
	}
	return t.settle(g)
}

// parent is the group of the directory above path.
func (t *tree) parent(at string) *group {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] == '/' {
			return t.paths[at[:max(i, 1)]]
		}
	}
	return nil
}

// settle tells the kernel side what a group is. A slot that it gave for what turned
// out to be no target of its own is held while the group lives: cgroups that were
// made in it before this was known have inherited the slot, and nobody else may
// have it meanwhile.
func (t *tree) settle(g *group) error {
	if t.a.probes == nil {
		return nil
	}
	want := probe.Cgroup{Slot: t.slotOf(g), Levels: g.levels}
	if g.levels > 0 {
		want.Template = uint16(t.template(g))
	}
	var err error
	if known, ok := t.a.probes.Cgroup(g.id); !ok || known != want {
		err = t.a.probes.SetCgroup(g.id, want)
	}
	if g.given != want.Slot && t.unowned(g.given) {
		g.held, t.held[g.given] = g.given, true
	}
	g.given = want.Slot
	return err
}

// given is the slot that the kernel side has for a cgroup by itself.
func (t *tree) given(id uint64) uint32 {
	if t.a.probes == nil {
		return probe.RemainderSlot
	}
	c, _ := t.a.probes.Cgroup(id)
	return c.Slot
}

// crowd keeps a group that got no slot: it is counted with the remainder until one
// is free.
func (t *tree) crowd(g *group, err error) {
	if len(t.crowded) == 0 {
		t.a.log.Error("new targets are not measured", "cgroup", g.path, "err", err)
	}
	t.a.own.noSlot++
	t.crowded = append(t.crowded, g)
}

// uncrowd gives slots that have become free to groups that wait for one.
func (t *tree) uncrowd(now time.Time) {
	waiting := t.crowded
	t.crowded = nil
	for i, g := range waiting {
		if !g.removed.IsZero() {
			continue
		}
		if err := t.own(g, now, false); err != nil {
			t.a.log.Error("cgroup not measured in full", "cgroup", g.path, "err", err)
		}
		if len(t.crowded) > 0 {
			t.crowded = append(t.crowded, waiting[i+1:]...)
			return
		}
	}
}

// unowned reports whether a slot was given out by the kernel side and is nobody's.
func (t *tree) unowned(slot uint32) bool {
	return slot > probe.NodeSlot && t.bySlot[slot] == nil && !t.held[slot] && !t.isTemplate(slot)
}

func (t *tree) slotOf(g *group) uint32 {
	if g.target == nil {
		return probe.RemainderSlot
	}
	return g.target.slot
}

func (t *tree) addRoot(g *group, now time.Time) {
	node := t.a.host.NodeTarget(g.id, now)
	rest := *node
	rest.Kind, rest.ID = metric.Remainder, metric.MakeID(t.a.host.MachineID, "remainder")
	for slot, id := range map[uint32]*metric.Target{probe.NodeSlot: node, probe.RemainderSlot: &rest} {
		t.bySlot[slot] = newTarget(id, slot)
	}
	t.targets = append(t.targets, t.bySlot[probe.NodeSlot], t.bySlot[probe.RemainderSlot])
}

// own makes a target of a group. born: since the agent knows of it from its first
// instruction, everything it has counted is its increase.
func (t *tree) own(g *group, now time.Time, born bool) error {
	slot := uint32(probe.RemainderSlot)
	if t.a.probes != nil {
		var err error
		if slot, err = t.take(g); err != nil {
			t.crowd(g, err)
			return nil
		}
	}
	g.target = newTarget(t.a.host.Target(g.path, g.id, now), slot)
	g.target.born, g.target.group = born, g
	if !born {
		g.target.recognition.tries = recognizeTries - oldTries
	}
	for p := t.parent(g.path); p != nil && p.path != "/"; p = t.parent(p.path) {
		if p.target != nil {
			p.target.holds = true
		}
	}
	t.targets = append(t.targets, g.target)
	if slot != probe.RemainderSlot {
		t.bySlot[slot] = g.target
		t.highest = max(t.highest, slot)
		if err := t.a.probes.Reserve(t.highest, t.future); err != nil {
			t.a.log.Warn("next targets start without histograms", "err", err)
		}
	}
	if x := g.target; x.Kind == metric.Service {
		t.restarts.begin(x)
	} else if over := t.nameOne(x, now); g.target == nil { // it only holds a pod's namespaces
		return nil
	} else if !over {
		t.waiting = append(t.waiting, x)
	}
	t.adopt(g.target)
	return errors.Join(t.settle(g), t.enforceOne(g.target, now))
}

// take is the slot for a new target: the one that the kernel side gave to the
// cgroup, if that is nobody else's. By now the cgroup may be gone, and forgotten
// there.
func (t *tree) take(g *group) (uint32, error) {
	if t.unowned(g.given) {
		return g.given, nil
	}
	return t.a.probes.TakeSlot()
}

// remove starts the draining of a group: nothing can join it, late events are
// still counted.
func (t *tree) remove(g *group, now time.Time) {
	if !g.removed.IsZero() {
		return
	}
	g.removed = now
	if g.target != nil && g.target.group == g {
		g.target.end(now)
	}
	if t.a.probes == nil {
		t.release(g)
	}
}

// release forgets a group that nothing refers to any more. The target's last
// values are read by the next tick, which then gives the slot back.
func (t *tree) release(g *group) {
	if t.a.probes != nil {
		if err := t.a.probes.ForgetCgroup(g.id); err != nil {
			t.a.log.Error("cgroup not forgotten", "cgroup", g.path, "err", err)
		}
	}
	if g.held != 0 {
		delete(t.held, g.held)
		if err := t.a.probes.FreeSlot(g.held); err != nil {
			t.a.log.Error("slot not freed", "cgroup", g.path, "err", err)
		}
	}
	delete(t.groups, g.id)
	if t.paths[g.path] == g {
		delete(t.paths, g.path)
	}
	if g.target != nil && g.target.group == g {
		g.target.drained = true
	}
}

// expire gives up removed groups that are still referred to after the time to drain.
func (t *tree) expire(now time.Time) {
	for _, g := range t.groups {
		if !g.removed.IsZero() && now.Sub(g.removed) > t.drain {
			t.release(g)
		}
	}
}

// drop lets go of targets whose last values have been read, and of hook groups
// that nobody else wants.
func (t *tree) drop() error {
	before := len(t.targets)
	t.targets = slices.DeleteFunc(t.targets, func(x *target) bool {
		if !x.drained {
			return false
		}
		t.discard(x)
		return true
	})
	if len(t.targets) == before {
		return nil
	}
	return t.attach()
}

func (t *tree) discard(x *target) {
	if err := x.close(); err != nil {
		t.a.log.Error("files not closed", "target", x.Name(), "err", err)
	}
	if t.a.probes != nil && x.slot > probe.NodeSlot {
		t.disown(x)
		t.leaveApps(x)
		delete(t.bySlot, x.slot)
		if err := t.a.probes.FreeSlot(x.slot); err != nil {
			t.a.log.Error("slot not freed", "target", x.Name(), "err", err)
		}
	}
	t.waiting = slices.DeleteFunc(t.waiting, func(w *target) bool { return w == x })
}

func (t *tree) close() {
	for _, x := range t.targets {
		if err := x.close(); err != nil {
			t.a.log.Error("files not closed", "target", x.Name(), "err", err)
		}
	}
}
