package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func softirqRows() []metric.Family {
	vectors := []metric.Label{{Name: "vector", Values: []string{"hi", "timer", "net_tx", "net_rx", "block", "irq_poll", "tasklet", "sched", "hrtimer", "rcu"}}}
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Kind, f.Owner, f.Object, f.OnDemand = metric.CPU, metric.Event, metric.Counter, metric.OwnerNode, "softirq", true
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "softirq_time", Sum: "softirqs", Sampling: metric.Pairs, Unit: metric.Seconds, Labels: vectors, Rungs: [][]string{{"softirq_begin", "softirq_end"}},
			Help:   "Time that CPUs of the node spent in the work that interrupts leave for later (softirq), in sum over CPUs, hard interrupts that came meanwhile included; whose packets or timers they were is not known here, and targets whose tasks were interrupted have it in their CPU time.",
			Source: "softirq_entry to softirq_exit on a CPU",
		}),
		row(metric.Family{
			Name: "softirqs", Sampling: metric.Events, Unit: metric.One, Labels: vectors, Rungs: [][]string{{"softirq_begin"}},
			Help:   "Times that CPUs of the node began such work: one may handle many packets or timers.",
			Source: "softirq_entry",
		}),
		row(metric.Family{
			Name: "interrupts", Sampling: metric.Events, Unit: metric.One, Rungs: [][]string{{"softirq_interrupt"}},
			Help:   "Calls of handlers of devices' interrupts on the node, one for each handler where several share a line; timers and messages between CPUs, which have vectors of their own, are not in it.",
			Source: "irq_handler_entry",
		}),
	}
}
