package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

// What perf_event_open(2) calls PERF_TYPE_HARDWARE, and its counters.
const (
	hardware     = 0
	cycles       = 0
	instructions = 1
	cacheMisses  = 3
)

func pmuRows() []metric.Family {
	const lack = "the machines that tests run on have no performance monitoring unit; the programs are tested with the kernel's own counters in its place"
	row := func(f metric.Family, config uint64) metric.Family {
		f.Class, f.Tier, f.Kind, f.Unit = metric.CPU, metric.Event, metric.Counter, metric.One
		f.Owner, f.Object, f.Kernel, f.PerCPU, f.OnDemand, f.Sampling = metric.OwnerTask, "pmu", "5.12", true, true, metric.Pairs
		f.Perf = &metric.PerfEvent{Type: hardware, Config: config}
		f.Lacks = map[string]string{"6.1": lack, "6.12": lack, "6.18": lack}
		f.Help += " It is one of the CPU's few counters, held on every CPU while the family is on: other users of counters get fewer. Untested on hardware."
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "cpu_cycles", Rungs: [][]string{{"pmu_cycles"}},
			Help:   "Cycles of the CPU while it ran tasks of the target, at whatever frequency, interrupts meanwhile included.",
			Source: "PERF_COUNT_HW_CPU_CYCLES at sched_switch",
		}, cycles),
		row(metric.Family{
			Name: "cpu_instructions", Rungs: [][]string{{"pmu_instructions"}},
			Help:   "Instructions that tasks of the target completed, in user and kernel mode; with cpu_cycles, how much they got done in their CPU time.",
			Source: "PERF_COUNT_HW_INSTRUCTIONS at sched_switch",
		}, instructions),
		row(metric.Family{
			Name: "llc_misses", Rungs: [][]string{{"pmu_misses"}},
			Help:   "Accesses to memory that the last level of the CPU's cache could not serve, while it ran tasks of the target; what the CPU calls so differs between models.",
			Source: "PERF_COUNT_HW_CACHE_MISSES at sched_switch",
		}, cacheMisses),
	}
}
