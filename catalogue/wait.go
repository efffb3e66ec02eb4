package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func waitRows() []metric.Family {
	return []metric.Family{
		{
			Name: "runq_wait", Class: metric.CPU, Tier: metric.Event, Kind: metric.Counter, Unit: metric.Seconds,
			Labels: []metric.Label{{Name: "cause", Values: []string{"throttled", "own", "other", "unknown"}}},
			Owner:  metric.OwnerTask, Object: "wait", Kernel: "5.12", PerCPU: true, OnDemand: true, Sampling: metric.Pairs,
			Rungs:  [][]string{{"wait_switch"}},
			Help:   "The waits of runq_latency, in sum, by what kept the CPU from the task: a CPU limit of its cgroup or one above (throttled), tasks of the same target (own), anything else, such as other targets, the kernel and waking an idle CPU (other); unknown is what lies more than 256 switches of the CPU back. A throttling is taken to have ended when the first task ran again; before 6.6 its length is told by a clock that stands still in interrupts and goes slower on a slow CPU.",
			Source: "sched_switch; cfs_rq.throttled_clock_self_time, before 6.6 throttled_clock_pelt_time",
		},
	}
}
