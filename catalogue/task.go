package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

// operation is the label of families that tell reads from writes.
var operation = []metric.Label{{Name: "operation", Values: []string{"read", "write"}}}

func taskRows() []metric.Family {
	folds := [][]string{{"task_walk", "task_tick", "task_free", "task_attach"}, {"task_tick", "task_free", "task_attach"}}
	row := func(f metric.Family) metric.Family {
		f.Tier, f.Owner, f.Object, f.Rungs = metric.Snapshot, metric.OwnerTask, "task", folds
		if f.Kind == "" {
			f.Kind = metric.Counter
		}
		f.Kernel = "5.17"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "cpu_time", Class: metric.CPU, Unit: metric.Seconds, Aliases: []string{"cputime"},
			Help:   "CPU time of the target's tasks, to the nanosecond; where the files tell it too it is cpu_usage, here without any accounting controller.",
			Source: "task_struct.se.sum_exec_runtime",
		}),
		row(metric.Family{
			Name: "runq_delay", Class: metric.CPU, Unit: metric.Seconds,
			Help:   "Time that tasks of the target waited for a CPU, in sum, over all run queues.",
			Source: "task_struct.sched_info.run_delay",
		}),
		row(metric.Family{
			Name: "timeslices", Class: metric.CPU, Unit: metric.One,
			Help:   "Times that a task of the target was given a CPU.",
			Source: "task_struct.sched_info.pcount",
		}),
		row(metric.Family{
			Name: "context_switches", Class: metric.CPU, Unit: metric.One,
			Labels: []metric.Label{{Name: "kind", Values: []string{"voluntary", "involuntary"}}},
			Help:   "Times that a task of the target left the CPU, by itself or preempted; the last switch of an exiting task is counted, which getrusage does not.",
			Source: "task_struct.nvcsw, nivcsw",
		}),
		row(metric.Family{
			Name: "migrations", Class: metric.CPU, Unit: metric.One,
			Help:   "Times that a task of the target was moved to another CPU.",
			Source: "task_struct.se.nr_migrations",
		}),
		row(metric.Family{
			Name: "page_faults", Class: metric.Memory, Unit: metric.One,
			Labels: []metric.Label{{Name: "kind", Values: []string{"minor", "major"}}},
			Help:   "Page faults charged to the target's tasks, without and with IO; those taken in the kernel on their behalf are among them (user_faults has only those of user mode).",
			Source: "task_struct.min_flt, maj_flt",
		}),
		row(metric.Family{
			Name: "syscall_io_bytes", Class: metric.Syscall, Unit: metric.Bytes, Labels: operation,
			Help:   "Bytes that read-like and write-like system calls of the target moved, from and to anything: files, pipes, sockets by read and write (not by send and recv).",
			Source: "task_struct.ioac.rchar, wchar",
		}),
		row(metric.Family{
			Name: "syscall_io_calls", Class: metric.Syscall, Unit: metric.One, Labels: operation,
			Help:   "Read-like and write-like system calls of the target.",
			Source: "task_struct.ioac.syscr, syscw",
		}),
		row(metric.Family{
			Name: "disk_bytes", Class: metric.Disk, Unit: metric.Bytes, Labels: operation, Aliases: []string{"diskio"},
			Help:   "Bytes that tasks of the target caused to be read from, or dirtied to be written to, storage; a write that is truncated before it reaches the disk is not taken back.",
			Source: "task_struct.ioac.read_bytes, write_bytes; thesis: diskio",
		}),
		row(metric.Family{
			Name: "threads", Class: metric.Process, Kind: metric.Gauge, Unit: metric.One,
			Help:   "Living threads of the target.",
			Source: "iter/task",
		}),
		row(metric.Family{
			Name: "processes", Class: metric.Process, Kind: metric.Gauge, Unit: metric.One,
			Help:   "Living processes of the target.",
			Source: "iter/task, thread group leaders",
		}),
		row(metric.Family{
			Name: "open_files", Class: metric.Process, Kind: metric.Gauge, Unit: metric.One,
			Help:   "Open descriptors of the target's processes; a table that processes share counts for each.",
			Source: "files_struct.fdt.open_fds, at most 262,144 a process",
		}),
		row(metric.Family{
			Name: "open_files_used", Class: metric.Process, Kind: metric.Gauge, Unit: metric.Ratio,
			Help:   "The part of its limit of descriptors (RLIMIT_NOFILE, the soft one) that the fullest process of the target has open; 1 and it can open no more, above 1 the limit was lowered later.",
			Source: "files_struct.fdt.open_fds, signal_struct.rlim",
		}),
	}
}
