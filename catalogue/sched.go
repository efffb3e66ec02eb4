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
			Name: "runq_wait", Class: metric.CPU, Tier: metric.Event, Kind: metric.Counter, Unit: metric.Seconds,
			Labels: []metric.Label{{Name: "cause", Values: []string{"throttled", "own", "other", "unknown"}}},
			Owner:  metric.OwnerTask, Object: "sched", Kernel: "5.12", PerCPU: true, OnDemand: true, Sampling: metric.Pairs,
			Rungs:  [][]string{{"sched_wait"}},
			Help:   "The waits of runq_latency, in sum, by what kept the CPU from the task: a CPU limit of its cgroup or one above (throttled), tasks of the same target (own), anything else, such as other targets, the kernel and waking an idle CPU (other); unknown is what lies more than 256 switches of the CPU back. A throttling is taken to have ended when the first task ran again; before 6.6 its length is told by a clock that stands still in interrupts and goes slower on a slow CPU.",
			Source: "sched_switch; cfs_rq.throttled_clock_self_time, before 6.6 throttled_clock_pelt_time",
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
