package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

// agentRows are what ViperProbe itself costs. They belong to the node and are
// always reported.
func agentRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner = metric.Process, metric.Self, metric.OwnerNode
		if f.Kind == "" {
			f.Kind = metric.Gauge
		}
		return f
	}
	program := []metric.Label{{Name: "program"}}
	return []metric.Family{
		row(metric.Family{
			Name: "agent_cpu_time", Kind: metric.Counter, Unit: metric.Seconds, Source: "getrusage",
			Help: "CPU time of the process that runs the agent, in user and kernel mode: reading, encoding and, where the store is in it, storing. Time that programs take in other processes is not in it: agent_program_rate times agent_program_time.",
		}),
		row(metric.Family{
			Name: "agent_resident_bytes", Unit: metric.Bytes, Source: "/proc/self/statm",
			Help: "Resident memory of the process that runs the agent.",
		}),
		row(metric.Family{
			Name: "agent_kernel_bytes", Unit: metric.Bytes, Source: "bpf_map_info, memlock of each map",
			Help: "Kernel memory of the agent's maps.",
		}),
		row(metric.Family{
			Name: "agent_program_rate", Unit: metric.One, Labels: program, Source: "BPF_ENABLE_STATS in a window of 250 ms every 30 s",
			Help: "Runs per second of each of the agent's programs, in the last window in which the kernel measured them.",
		}),
		row(metric.Family{
			Name: "agent_program_time", Unit: metric.Seconds, Labels: program, Source: "BPF_ENABLE_STATS in a window of 250 ms every 30 s",
			Help: "Mean time of one run of each of the agent's programs, in the same window, less what the kernel's measuring bills for itself; entering the program is not in it.",
		}),
		row(metric.Family{
			Name: "agent_missed_events", Kind: metric.Counter, Unit: metric.One, Labels: program, Source: "bpf_prog_info.recursion_misses",
			Help: "Events that a program did not see because it was interrupted by itself, and no other program took in its place.",
		}),
		row(metric.Family{
			Name: "agent_uncounted", Kind: metric.Counter, Unit: metric.One, Labels: []metric.Label{{Name: "group"}}, Source: "vp_failed of each hook group",
			Help: "Values that a hook group could not count: no memory for storage, storage busy, or no cell.",
		}),
		row(metric.Family{
			Name: "agent_samples", Kind: metric.Counter, Unit: metric.One, Source: "agent",
			Help: "Samples that the agent published.",
		}),
		row(metric.Family{
			Name: "agent_dropped", Kind: metric.Counter, Unit: metric.One, Labels: []metric.Label{{Name: "what"}}, Source: "agent",
			Help: "What the agent had no room or no time for.",
		}),
		row(metric.Family{
			Name: "agent_governed", Unit: metric.One, Labels: []metric.Label{{Name: "lever"}}, Source: "agent",
			Help: "What is given up now to stay within the budget: shares of events (rate), longer windows (interval), sums in place of histograms (form), families (drop), the whole event tier (stop).",
		}),
		row(metric.Family{
			Name: "agent_governor_cpu", Unit: metric.Seconds, Labels: []metric.Label{{Name: "part"}}, Source: "BPF_ENABLE_STATS for 100 ms of each second, getrusage",
			Help: "CPU time a second as the governor judged it last: of BPF programs in other processes' time (programs), and of this process, the median of five seconds (process). Only under a budget.",
		}),
		row(metric.Family{
			Name: "agent_governor_steps", Kind: metric.Counter, Unit: metric.One, Labels: []metric.Label{{Name: "lever"}}, Source: "agent",
			Help: "Times that something was given up to stay within the budget.",
		}),
		row(metric.Family{
			Name: "agent_app_probes", Unit: metric.One, Labels: []metric.Label{{Name: "state"}}, Source: "agent",
			Help: "Application probes in files, by whether they are attached, were stopped because they were hit too often, or are missing there.",
		}),
		row(metric.Family{
			Name: "agent_read_time", Unit: metric.Seconds, Source: "agent",
			Help: "How long the agent took to read and encode the last window.",
		}),
		row(metric.Family{
			Name: "agent_targets", Unit: metric.One, Source: "agent",
			Help: "Targets that are measured, the node and the remainder among them.",
		}),
	}
}
