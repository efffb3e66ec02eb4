package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func faultRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Kind, f.Unit = metric.Memory, metric.Event, metric.Counter, metric.One
		f.Owner, f.Object, f.PerCPU, f.Sampling = metric.OwnerTask, "fault", true, metric.Events
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
	}
}
