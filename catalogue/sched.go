package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func schedRows() []metric.Family {
	return []metric.Family{
		{
			Name: "runq_latency", Sum: "runq_delay", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds,
			Owner: metric.OwnerTask, Aliases: []string{"runq"}, Object: "sched", Kernel: "5.12", PerCPU: true, Sampling: metric.Events,
			Rungs:  [][]string{{"sched_switch"}},
			Help:   "How long tasks of the target waited on the run queue they then ran from; a migration restarts the wait, so its sum can be below runq_delay: their ratio is the coverage.",
			Source: "task_struct.sched_info.last_queued at sched_switch, on the run queue's clock; paper: runq",
		},
		{
			Name: "oncpu_slice", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds,
			Owner: metric.OwnerTask, Object: "sched", Kernel: "5.12", PerCPU: true, Sampling: metric.Events,
			Rungs:  [][]string{{"sched_switch"}},
			Help:   "How long tasks of the target ran before they left the CPU, in every scheduling class.",
			Source: "task_struct.sched_info.last_arrival at sched_switch",
		},
		{
			Name: "offcpu_time", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds,
			Owner: metric.OwnerTask, Object: "sched", Kernel: "5.12", PerCPU: true, OnDemand: true, Sampling: metric.Pairs,
			Rungs:  [][]string{{"sched_offcpu", "sched_fork", "sched_tick"}},
			Help:   "How long tasks of the target were away from the CPU, asleep or waiting, until they ran again; counted at the end of the absence. A task is followed from its fork, or from the first pass after the family was switched on.",
			Source: "sched_switch to sched_switch of a task, on the run queues' clocks",
		},
	}
}
