package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func faultRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier = metric.Memory, metric.Event
		f.Owner, f.Object, f.PerCPU = metric.OwnerTask, "fault", f.Kind == ""
		f.Sampling = metric.Pairs
		if f.Kind == "" {
			f.Kind, f.Unit, f.Sampling = metric.Counter, metric.One, metric.Events
		}
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "user_faults", Aliases: []string{"userfaults"},
			Rungs:  [][]string{{"fault_user"}, {"fault_user_mapped"}},
			Help:   "Page faults that tasks of the target took in user mode, resolved or not; faults that another task takes on the target's memory are that task's, pages that the kernel pins (get_user_pages) fault for nobody.",
			Source: "tracepoint exceptions/page_fault_user (x86); elsewhere the end of handle_mm_fault, where faults outside any mapping are not seen; paper: userfaults",
		}),
		row(metric.Family{
			Name: "kernel_faults", OnDemand: true,
			Rungs:  [][]string{{"fault_kernel"}, {"fault_kernel_mapped"}},
			Help:   "Page faults that the kernel took while it worked for tasks of the target: buffers of system calls that were not in memory yet; an interrupt's are charged to the task that it met.",
			Source: "tracepoint exceptions/page_fault_kernel (x86); elsewhere the end of handle_mm_fault",
		}),
		row(metric.Family{
			Name: "page_fault_latency", Kind: metric.Histogram, Unit: metric.Seconds, OnDemand: true,
			Labels: []metric.Label{{Name: "kind", Values: []string{"minor", "major"}}},
			Rungs:  [][]string{{"fault_begin", "fault_end"}},
			Lacks:  map[string]string{"6.18": "the build machine's kernel lets no program attach to functions, and no tracepoint tells when a fault was resolved"},
			Help:   "How long page faults of tasks of the target took the kernel, in user and kernel mode, without IO (minor) and with it (major), from the first try to the last; entering the kernel and faults outside any mapping are not in it.",
			Source: "begin and end of handle_mm_fault",
		}),
	}
}
