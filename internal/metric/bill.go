package metric

import (
	"cmp"
	"slices"
	"time"
)

// A Bill is what measuring costs on one node, as measured in one short window.
// Every percent is of one CPU.
type Bill struct {
	Node     NodeCost      `json:"node"`
	Families []FamilyCost  `json:"families"` // dearest first
	Programs []ProgramCost `json:"programs"`
	Window   time.Duration `json:"window_ns"` // in which programs were measured (BPF_ENABLE_STATS)
}

// A Forecast is what measuring costs now, and would cost otherwise.
type Forecast struct {
	Now  Bill `json:"now"`
	Then Bill `json:"then"`
}

// A NodeCost is what ViperProbe takes of a node. CPUPercent is the sum of the three
// that follow it.
type NodeCost struct {
	CPUPercent      float64 `json:"cpu_percent"`
	ProgramsPercent float64 `json:"programs_percent"` // BPF programs in other processes' time
	AgentPercent    float64 `json:"agent_percent"`    // the agent's process without the store: iterators and files, encoding, serving
	StorePercent    float64 `json:"store_percent"`    // threads that hand batches to sinks
	KernelBytes     int     `json:"kernel_bytes"`     // of maps
	Series          int     `json:"series"`           // samples in the last batch

	KernelBytesOn map[string]int `json:"kernel_bytes_on,omitempty"` // what KernelBytes would be, by number of possible CPUs
}

// A FamilyCost is one family's share. CPUPercent is EventsPerSecond times NsPerEvent,
// and the gate: what events cost that no target wants. An event of a snapshot family
// is a task or socket that was looked at, of the file tier a target whose files were read.
type FamilyCost struct {
	Family          string          `json:"family"`
	Tier            Tier            `json:"tier"`
	EventsPerSecond float64         `json:"events_per_second"`
	NsPerEvent      float64         `json:"ns_per_event"`
	CPUPercent      float64         `json:"cpu_percent"`
	GatePercent     float64         `json:"gate_percent"`
	KernelBytes     int             `json:"kernel_bytes"`
	Series          int             `json:"series"`
	Containers      []ContainerCost `json:"containers"` // dearest first
}

// A ContainerCost is what one family costs for one target.
type ContainerCost struct {
	Target          string   `json:"target"` // its name
	ID              TargetID `json:"id"`
	EventsPerSecond float64  `json:"events_per_second"`
	CPUPercent      float64  `json:"cpu_percent"`
}

// A ProgramCost is what the kernel's own statistics say of one program, less what they bill
// for themselves, and what it costs to enter it, which they do not see. The shares of the
// families in it add up to CPUPercent, which is both.
type ProgramCost struct {
	Program       string  `json:"program"`
	RunsPerSecond float64 `json:"runs_per_second"`
	NsPerRun      float64 `json:"ns_per_run"`
	EnterNs       float64 `json:"enter_ns"` // a run; of an uprobe the trap
	CPUPercent    float64 `json:"cpu_percent"`
}

// A Price is what one event of a family costs in one program, as measured on the
// machine that the catalogue's table of prices comes from. Times are ns a run.
type Price struct {
	Program string
	Open    float64 // in the program: the family is on, alone
	Closed  float64 // in the program: the gate is closed
	Runs    float64 // runs of the program per event
	Enter   float64 // before and after the program: the tracepoint's call of it, or an uprobe's trap
}

// A CostClass says how a family can be used, by its measured price.
type CostClass string

// The classes of cost.
const (
	AlwaysOn     CostClass = "always-on"
	OnDemandCost CostClass = "on demand"
	ShortWindows CostClass = "short windows"
)

// Shares of one CPU at the catalogue's reference load up to which a family is always
// on, or on demand.
const (
	AlwaysOnShare = 0.01
	OnDemandShare = 0.04
)

// CostShare is the share of one CPU that the family takes at the reference load, the
// gate's part included: the nanoseconds of an event times the events of a second.
func (f *Family) CostShare() float64 { return f.CostNs * f.CostRate / 1e9 }

// CostClass is the class of the family's measured price at the reference load; what
// the agent tells about itself is always on, and what nobody measured has none.
func (f *Family) CostClass() CostClass {
	if f.CostNs == 0 && f.Tier != Self {
		return ""
	}
	switch share := f.CostShare(); {
	case share <= AlwaysOnShare:
		return AlwaysOn
	case share <= OnDemandShare:
		return OnDemandCost
	}
	return ShortWindows
}

// Payers adds up what each target costs over all families, dearest first.
func (b *Bill) Payers() []ContainerCost {
	at := map[TargetID]int{}
	var out []ContainerCost
	for i := range b.Families {
		for _, c := range b.Families[i].Containers {
			j, ok := at[c.ID]
			if !ok {
				j, at[c.ID] = len(out), len(out)
				out = append(out, ContainerCost{Target: c.Target, ID: c.ID})
			}
			out[j].CPUPercent += c.CPUPercent
			out[j].EventsPerSecond += c.EventsPerSecond
		}
	}
	slices.SortFunc(out, func(a, b ContainerCost) int {
		return cmp.Or(cmp.Compare(b.CPUPercent, a.CPUPercent), cmp.Compare(a.ID, b.ID))
	})
	return out
}
