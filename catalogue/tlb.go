package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func tlbRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Kind, f.Unit = metric.Memory, metric.Event, metric.Counter, metric.One
		f.Object, f.PerCPU, f.OnDemand, f.Sampling = "tlb", true, true, metric.Events
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "tlb_flushes", Owner: metric.OwnerTask, Aliases: []string{"tlbflushes"}, Rungs: [][]string{{"tlb_order"}},
			Labels: []metric.Label{{Name: "where", Values: []string{"local_all", "local", "remote"}}},
			Help:   "Flushes of address translations that tasks of the target ordered, by unmapping or protecting memory mostly: on their own CPU, of one address space (local) or of several at once (local_all), and messages to other CPUs (remote, one however many they are). It is who ordered it, not whose memory it was; flushes without a message (INVLPGB) on some kernels, and all on arm64, are not seen.",
			Source: "tracepoint tlb/tlb_flush (x86); thesis: tlbflushes",
		}),
		row(metric.Family{
			Name: "tlb_flushes_received", Owner: metric.OwnerNode, Rungs: [][]string{{"tlb_receive"}},
			Help:   "Flushes that CPUs of the node did because another CPU told them to, which interrupts a task that need not have to do with it; one that arrives while another is being counted is missed (agent_missed_events); flushes at a change of tasks are not in it; x86 only.",
			Source: "tracepoint tlb/tlb_flush (x86), TLB_REMOTE_SHOOTDOWN",
		}),
	}
}
