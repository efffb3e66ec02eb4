package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func appRows() []metric.Family {
	probe := []metric.Label{{Name: "probe"}}
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object, f.Labels, f.OnDemand, f.Kernel = metric.Application, metric.App, metric.OwnerTask, "app", probe, true, "5.15"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "app_calls", Kind: metric.Counter, Unit: metric.One,
			Rungs:  [][]string{{"app_enter_multi", "app_exec"}, {"app_enter", "app_exec"}},
			Help:   "Calls of functions and passings of USDT probes in the target's programs, by the probes that patterns and policies declare (docs/app-probes.md); what ran before the program's file was found is not in it.",
			Source: "uprobes on the declared functions and .note.stapsdt",
		}),
		row(metric.Family{
			Name: "app_latency", Sum: "app_calls", Kind: metric.Histogram, Unit: metric.Seconds,
			Rungs:  [][]string{{"app_enter_multi", "app_leave_multi", "app_exec"}, {"app_enter", "app_leave", "app_exec"}},
			Help:   "Time from the call of a declared function to its return, or from a declared USDT probe to the one that ends it, in the same thread (of Go functions: the same goroutine); waiting included, and the two traps of the probes themselves; calls that were left by an exception or longjmp are not in it.",
			Source: "uprobes and uretprobes on the declared functions (Go: on each RET), .note.stapsdt",
		}),
	}
}
