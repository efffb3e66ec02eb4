// Package metric holds the words of ViperProbe: families, targets, readings,
// batches, samples and histograms. It imports the standard library only.
package metric

import "strings"

// Class is what a family is about.
type Class string

// The classes of the catalogue.
const (
	CPU         Class = "cpu"
	Memory      Class = "memory"
	Disk        Class = "disk"
	Filesystem  Class = "filesystem"
	Network     Class = "network"
	Syscall     Class = "syscall"
	Process     Class = "process"
	Application Class = "application"
)

// Classes lists every class, in the order in which documents print them.
var Classes = []Class{CPU, Memory, Disk, Filesystem, Network, Syscall, Process, Application}

// Tier is how a family's values are obtained, which decides what they cost.
type Tier string

// The tiers, cheapest first.
const (
	File     Tier = "file"     // cgroup files and PSI: a cost per read
	Snapshot Tier = "snapshot" // BPF iterators over what the kernel already counts: a cost per read
	Event    Tier = "event"    // programs on tracepoints and functions: a cost per event
	App      Tier = "application"
	Self     Tier = "self" // what the agent tells about itself
)

// Kind is the shape of a family's values.
type Kind string

// The kinds of value.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Unit is a base unit (UCUM, but for the ratio). Inside ViperProbe a time is a whole number of
// nanoseconds; Seconds is what leaves at the edges.
type Unit string

// The units of the catalogue.
const (
	Seconds Unit = "s"
	Bytes   Unit = "By"
	One     Unit = "1"
	Ratio   Unit = "ratio" // of 1; cells hold billionths
)

// Owner says whose an event or a value is: what is charged with it.
type Owner string

// The owners.
const (
	OwnerTask   Owner = "current task"
	OwnerSocket Owner = "socket"
	OwnerBio    Owner = "bio"
	OwnerMemcg  Owner = "memcg"
	OwnerCgroup Owner = "cgroup"
	OwnerNode   Owner = "node"
	// OwnerNetwork is a network namespace, whose counts go to one of its targets.
	OwnerNetwork Owner = "network namespace"
)

// Sampling says whether a share of a family's events may stand for all of them.
type Sampling string

// The ways to be sampled.
const (
	Whole  Sampling = ""       // not at all: nobody has shown that it may be
	Events Sampling = "events" // each event stands by itself: windows, and 1 in n
	Pairs  Sampling = "pairs"  // not at all: what begins and what ends belong together
	Rare   Sampling = "rare"   // not at all: there are few events, and each matters
)

// A Label is one dimension of a family. Values lists the values in the order of
// the kernel's cells; it is nil when they are found at run time (devices). Found is how
// many of these a hook group tells apart, by the numbers that its map <object>_<name>s
// gives their names from 1 on; cell 0 has all others.
type Label struct {
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty"`
	Found  int      `json:"-"`
}

// Cells is how many cells of the kernel's a label takes.
func (l *Label) Cells() int {
	if l.Found > 0 {
		return 1 + l.Found
	}
	return len(l.Values)
}

// A Family is one row of the catalogue: one named metric and everything that is
// known about it. Documents, Prometheus names, validation and the reader are
// derived from the row. Families are shared and never modified after loading.
type Family struct {
	Name    string
	Help    string // one sentence: what is measured, and what is not
	Class   Class
	Tier    Tier
	Kind    Kind
	Unit    Unit
	Labels  []Label // at most 2
	Owner   Owner
	Aliases []string // other names accepted on input (the paper's)
	Source  string   // where the value comes from: kernel symbol, file, paper

	Object string     // hook group: catalogue/<Object>.bpf.c; "" for the file tier
	Cell   string     // member of the object's cell, or the histogram's map; "" means Name
	Over   string     // member that Cell is divided by: means over sockets or tasks
	Rungs  [][]string // ladder of programs, best first; each rung is a set that is attached together
	Kernel string     // oldest kernel that has the helpers, maps and hooks of a rung; "" if any (file tier)
	// Lacks says why the family does not work on a kernel on which the catalogue is tested, by series ("6.1").
	Lacks  map[string]string
	PerCPU bool       // cells are per CPU: hot families
	Perf   *PerfEvent // counter that the programs read, in the map <Name>_counters; nil if none

	OnDemand bool // costs too much to be on by default
	Sampling Sampling
	Sum      string // a cheaper family that answers the same question in sum

	CostNs   float64 // measured: ns of one event, over all programs of the family; of a task, socket or target in the other tiers
	CostEach string  // what one event is: "switch"
	CostRate float64 // events a second at the reference load
	Prices   []Price // by program, of the event tier
}

// Unsampled says why the family cannot be sampled, "" when it can.
func (f *Family) Unsampled() string {
	switch {
	case f.Sampling == Events && f.Tier == Event:
		return ""
	case f.Tier == App:
		return "the trap of a probe is paid for, whether its event is looked at or not"
	case f.Tier != Event:
		return "it is read once a window and costs nothing between, so that a share of it would not cost less"
	case f.Sampling == Rare:
		return "its events are few, and each of them matters"
	}
	return "its programs follow things from their beginning to their end, which a sample would tear apart"
}

// Unsummed says why the family's series cannot be summed over a label, "" when they can.
func (f *Family) Unsummed() string {
	switch {
	case len(f.Labels) == 0:
		return "has no labels"
	case f.Tier == Self:
		return "is what the agent tells of itself, always in full"
	case f.Kind == Gauge && (f.Over != "" || f.Unit == Ratio):
		return "is a mean, and means do not add up"
	}
	return ""
}

// A PerfEvent is a counter of perf_event_open(2): perf_event_attr.type and config.
type PerfEvent struct {
	Type   uint32
	Config uint64
}

// Scale is how many raw units make one base unit: 1e9 for times and ratios.
func (f *Family) Scale() float64 {
	if f.Unit == Seconds || f.Unit == Ratio {
		return 1e9
	}
	return 1
}

// Gated reports whether the family has a bit of its own in a target's slot, so
// that it can be switched per target in the kernel.
func (f *Family) Gated() bool { return f.Tier == Event || f.Tier == App }

// Keyed reports whether the kernel side finds the family's cells by a key that it meets
// as it runs (application probes, flows), instead of a row of cells for each target.
func (f *Family) Keyed() bool {
	for i := range f.Labels {
		if f.Object != "" && f.Labels[i].Cells() == 0 {
			return true
		}
	}
	return false
}

// PromName is the family's name on /metrics: prefix, base unit, and _total on
// counters. No unit is written twice.
func (f *Family) PromName() string {
	name := "viperprobe_" + f.Name
	suffix := map[Unit]string{Seconds: "_seconds", Bytes: "_bytes", Ratio: "_ratio"}[f.Unit]
	if !strings.HasSuffix(name, suffix) {
		name += suffix
	}
	if f.Kind == Counter {
		name += "_total"
	}
	return name
}

// Is reports whether name is the family's name or one of its aliases.
func (f *Family) Is(name string) bool {
	if f.Name == name {
		return true
	}
	for _, a := range f.Aliases {
		if a == name {
			return true
		}
	}
	return false
}
