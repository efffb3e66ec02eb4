package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// enforce makes the kernel side and the files be what the plan wants of every
// target: hook groups first, then each target's switches.
func (t *tree) enforce(now time.Time) error {
	var faults []error
	for _, x := range t.targets {
		t.choose(x, now)
	}
	faults = append(faults, t.attach())
	if t.a.probes == nil {
		for _, x := range t.targets {
			faults = append(faults, t.open(x))
		}
		return errors.Join(faults...)
	}
	old := t.templates
	t.templates, t.future = map[string]*template{}, nil
	for _, g := range t.groups {
		if g.levels > 0 {
			t.prepare(g)
		}
	}
	faults = append(faults, t.share())
	for _, x := range t.targets {
		faults = append(faults, t.open(x))
	}
	t.a.probes.Pass() // connections that are older than the wish
	for _, g := range t.groups {
		if g.levels > 0 {
			faults = append(faults, t.settle(g))
		}
	}
	return errors.Join(append(faults, t.freeTemplates(old))...)
}

// enforceOne does the same for one target that is new or has got a better name.
func (t *tree) enforceOne(x *target, now time.Time) error {
	t.choose(x, now)
	var err error
	if slices.ContainsFunc(x.probed, func(f *metric.Family) bool { return !t.attached[f] }) {
		err = t.attach()
	}
	return errors.Join(err, t.share(), t.open(x))
}

// choose sets what the plan wants of a target. What it did not want before starts
// anew, except for counts of events: their cells stand still while switched off.
func (t *tree) choose(x *target, now time.Time) {
	wants := t.a.wanted(x.Target, now)
	before := x.wants
	x.wants, x.probed, x.ratios = nil, nil, nil
	for _, f := range t.a.families {
		w, ok := wants[f.Name]
		if !ok || !belongs(f, x) {
			continue
		}
		x.ratios.add(f, w)
		x.relabel(f, w.Labels)
		x.wants = append(x.wants, f)
		if f.Object != "" {
			x.probed = append(x.probed, f)
			x.flows = x.flows || isFlow(f)
		}
		if !slices.Contains(before, f) {
			x.renew(f)
		}
	}
	t.chooseApps(x, now)
}

// belongs reports whether a target can have a value of a family: the node has its
// own, and the block IO that the kernel charges to nobody.
func belongs(f *metric.Family, x *target) bool {
	switch {
	case f.Tier == metric.File:
		return true
	case x.Kind == metric.Node:
		return f.Owner == metric.OwnerNode || f.Owner == metric.OwnerBio
	}
	return f.Owner != metric.OwnerNode && (f.Tier != metric.App || x.group != nil)
}

// attach makes the hook groups be those that some target, or a target to come,
// wants.
func (t *tree) attach() error {
	if t.a.probes == nil {
		return nil
	}
	t.attached = map[*metric.Family]bool{}
	for _, x := range t.targets {
		for _, f := range x.probed {
			t.attached[f] = true
		}
	}
	return t.a.probes.Want(slices.DeleteFunc(slices.Clone(t.a.families), func(f *metric.Family) bool { return !t.attached[f] }))
}

// open sets a target's switches and opens its files.
func (t *tree) open(x *target) error {
	var faults []error
	if t.a.probes != nil {
		faults = append(faults, t.a.probes.Switch(x.slot, x.probed))
	}
	faults = append(faults, x.close())
	files := slices.DeleteFunc(slices.Clone(x.wants), func(f *metric.Family) bool { return f.Tier != metric.File })
	if len(files) == 0 || x.Kind == metric.Remainder {
		return errors.Join(faults...)
	}
	var err error
	if x.Kind == metric.Node {
		x.files, err = t.a.host.OpenNode(files)
	} else {
		x.files, err = t.a.host.Open(x.Cgroup, files)
	}
	if err != nil && !errors.Is(err, cgroup.ErrGone) {
		faults = append(faults, fmt.Errorf("open files of %s: %w", x.Cgroup, err))
	}
	return errors.Join(faults...)
}

// template is the slot whose switches and shares new targets below a group copy.
func (t *tree) template(g *group) uint32 {
	m := t.prepare(g)
	if m == nil {
		return probe.RemainderSlot
	}
	if !m.on {
		t.a.check(t.share())
	}
	return m.slot
}

// prepare makes a group's template, which share switches on. What a target below it
// will be called is not known yet, so it is judged by its path alone. nil: nothing is
// wanted, or there is no slot.
func (t *tree) prepare(g *group) *template {
	m, key := &template{}, ""
	future := t.a.host.Target(strings.TrimSuffix(g.path, "/")+"/new", 0, time.Time{})
	wants := t.a.wanted(future, time.Now())
	for _, f := range t.a.families {
		if w, ok := wants[f.Name]; ok && f.Gated() && f.Owner != metric.OwnerNode {
			m.wants = append(m.wants, f)
			m.ratios.add(f, w)
			key += fmt.Sprint(f.Name, m.ratios.of(f), " ")
		}
	}
	if known := t.templates[key]; known != nil || key == "" {
		return known
	}
	var err error
	if m.slot, err = t.a.probes.TakeSlot(); err != nil {
		t.a.log.Error("new targets start unmeasured", "below", g.path, "err", err)
		return nil
	}
	t.templates[key], t.highest = m, max(t.highest, m.slot)
	for _, f := range m.wants {
		if !slices.Contains(t.future, f) {
			t.future = append(t.future, f)
		}
	}
	return m
}

func (t *tree) isTemplate(slot uint32) bool {
	for _, m := range t.templates {
		if m.slot == slot {
			return true
		}
	}
	return false
}

// How long a container may stay without a better name than its id, and a plain
// cgroup without turning out to be a container after all (runc's).
const (
	nameLimit  = 10 * time.Second
	plainLimit = time.Second
)

func (t *tree) unnamed() bool { return len(t.waiting) > 0 }

// name looks for the names of containers that have none yet.
func (t *tree) name(now time.Time) {
	t.waiting = slices.DeleteFunc(slices.Clone(t.waiting), func(x *target) bool { return t.nameOne(x, now) })
}

// nameOne looks for the name of one container and reports whether that is over:
// it has been found, or will not be.
func (t *tree) nameOne(x *target, now time.Time) bool {
	over := t.nameBetter(x, now)
	if over && x.group.target == x { // it does not only hold a pod's namespaces
		t.restarts.begin(x)
	}
	return over
}

func (t *tree) nameBetter(x *target, now time.Time) bool {
	better, pause, err := t.names.Resolve(x.Target)
	switch {
	case pause:
		t.ignore(x)
		return true
	case err != nil:
		return now.Sub(x.Started) > nameLimit || !x.Ended.IsZero()
	case better.Kind == metric.Plain:
		return now.Sub(x.Started) > plainLimit || !x.Ended.IsZero()
	}
	better.Ended = x.Ended
	x.Target = better
	if err := t.enforceOne(x, now); err != nil {
		t.a.log.Error("target not measured in full", "target", x.Name(), "err", err)
	}
	return true
}

// ignore makes a target none: it only holds a pod's namespaces.
func (t *tree) ignore(x *target) {
	g := x.group
	g.target, g.given = nil, probe.RemainderSlot
	t.targets = slices.DeleteFunc(t.targets, func(y *target) bool { return y == x })
	if t.a.probes != nil {
		if err := t.a.probes.SetCgroup(g.id, probe.Cgroup{}); err != nil {
			t.a.log.Error("pause container not ignored", "cgroup", g.path, "err", err)
		}
	}
	t.discard(x)
}
