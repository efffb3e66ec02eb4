// Package planted makes recordings of a shop of services whose troubles are known, so that what an analysis finds can
// be told from what is there.
package planted

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// A Shop is a recording with the causes of its SLO violations.
type Shop struct {
	analysis.Recording
	Costs  map[string]float64 // by family, per container, in no unit
	Causes []Cause
}

// A Cause is a trouble of one service that breaks the SLO some time after its series have moved: at least five rows
// would not violate it without.
type Cause struct {
	Trouble string   // the family that tells it best
	Service string   // where
	Series  []string // names of all series that tell it
}

const (
	step = 5.0 // seconds
	rows = 240 // of a run: 20 minutes
)

// Workloads are the shapes of load of the runs of a shop, one run of each.
var workloads = []string{"steady", "step", "ramp", "diurnal", "bursty", "neighbour"}

// costs are what the families cost beside each other, in the order of what they hook.
var costs = map[string]float64{
	"requests": .1, "cpu_usage": .05, "memory_working_set": .05, "threads": .05, "temperature": .1,
	"tcp_sent_bytes": .5, "tcp_received_bytes": .5, "context_switches": .3, "offcpu_time": 1.5,
	"runq_delay": .6, "runq_latency": 2, "user_faults": .4, "block_latency": .8, "tcp_retransmits": .2,
}

// New makes the shop of a seed. Six services call each other along a random tree. Two of them, and not the gateway,
// have a trouble of different kinds now and then: a neighbour takes their CPU, so that requests queue up to a limit
// beyond which they are refused; memory fills and faults; the disk slows down; the link loses packets. What a trouble
// does is seen in its own series at once, in its callers' waits a few rows later, and in the SLO after 20 to 40 s.
//
// Around the causes stand what makes selection hard: series that follow the load, which is high when queues are
// (confounders), the same in another unit and at more cost (duplicates), late copies in the callers, a daily wave that
// spans the runs, memory that only grows, noise, constants and gaps.
func New(seed uint64) Shop {
	r := rand.New(rand.NewPCG(seed, 42))
	w := newWorld(r)
	s := Shop{Recording: analysis.Recording{Step: step, Calls: w.calls}, Costs: costs}
	for n, workload := range workloads {
		s.Runs = append(s.Runs, analysis.Section{Name: fmt.Sprint("run", n), Workload: workload, From: n * rows, To: (n + 1) * rows})
		w.reset()
		for t := range rows {
			s.SLO = append(s.SLO, w.tick(workload, n*rows+t, float64(t)/rows))
		}
	}
	for _, name := range w.names {
		service, family, _ := strings.Cut(name, "/")
		s.Series = append(s.Series, analysis.Series{Name: name, Family: family, Container: service + "-0", Service: service, Values: w.values[name]})
	}
	for _, tr := range w.troubles {
		if tr.needed < 5 {
			continue
		}
		c := Cause{Trouble: tr.families[0], Service: services[tr.at]}
		for _, f := range tr.families {
			c.Series = append(c.Series, services[tr.at]+"/"+f)
		}
		s.Causes = append(s.Causes, c)
	}
	return s
}

// Marks are what a selection got on one recording.
type Marks struct {
	Causes float64 // share of the planted causes that it holds a series of
	Right  float64 // share of its series that tell a cause
	Series float64
	Cost   float64

	// On held-out runs.
	AP        float64
	Recall    float64
	Precision float64
	False     float64 // alarms per hour
	Lead      float64 // median, seconds
}

// Mark judges a selection by the causes that were planted.
func (s Shop) Mark(r analysis.Result) (m Marks) {
	found := map[int]bool{}
	right := 0
	for _, c := range r.Critical {
		for n, cause := range s.Causes {
			if slices.Contains(cause.Series, c.Name) {
				found[n] = true
				right++
			}
		}
	}
	m.Causes = float64(len(found)) / float64(len(s.Causes))
	m.Series, m.Cost = float64(len(r.Critical)), r.Cost
	m.Right = float64(right) / max(m.Series, 1)
	if sc := r.Score; sc != nil {
		m.AP, m.Recall, m.Precision, m.False, m.Lead = sc.AP, sc.Recall, sc.Precision, sc.FalsePerHour, sc.MedianLead
	}
	return m
}
