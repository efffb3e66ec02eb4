package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

// fileRows are the families of the file tier, which package cgroup reads without
// any BPF. Source names the file on cgroup v2, then the one on v1.
func fileRows() []metric.Family {
	rows := append(cpuFiles(), memoryFiles()...)
	rows = append(rows, otherFiles()...)
	rows = append(rows, networkFiles()...)
	rows = append(rows, pressureFiles()...)
	for i := range rows {
		f := &rows[i]
		f.Tier = metric.File
		if f.Kind == "" {
			f.Kind = metric.Counter
		}
		if f.Unit == "" {
			f.Unit = metric.One
		}
		if f.Owner == "" {
			f.Owner = metric.OwnerCgroup
		}
	}
	return rows
}

func cpuFiles() []metric.Family {
	return []metric.Family{
		{
			Name: "cpu_usage", Class: metric.CPU, Unit: metric.Seconds,
			Help:   "CPU time of the target and the cgroups in it, to the microsecond, waits for a CPU not included.",
			Source: "cgroup2 cpu.stat usage_usec (on hybrid hosts too: the file needs no controller); node: /proc/stat, all but idle, iowait and steal",
		},
		{
			Name: "cpu_user", Class: metric.CPU, Unit: metric.Seconds,
			Help:   "The part of cpu_usage in user mode; the kernel scales a split that it samples by timer tick, so that user and system together are exact and each alone is not.",
			Source: "cgroup2 cpu.stat user_usec; node: /proc/stat user, nice",
		},
		{
			Name: "cpu_system", Class: metric.CPU, Unit: metric.Seconds,
			Help:   "The part of cpu_usage in the kernel; the split is sampled by timer tick.",
			Source: "cgroup2 cpu.stat system_usec; node: /proc/stat system, irq, softirq",
		},
		{
			Name: "cpu_periods", Class: metric.CPU,
			Help:   "Enforcement periods of the CPU limit in which the target was runnable; limits of an ancestor (a pod) are not in it.",
			Source: "cpu.stat nr_periods; v1 cpu: the same",
		},
		{
			Name: "cpu_throttled_periods", Class: metric.CPU,
			Help:   "Enforcement periods in which the target used up its CPU limit and was stopped; being stopped by an ancestor's limit is not in it.",
			Source: "cpu.stat nr_throttled; v1 cpu: the same",
		},
		{
			Name: "cpu_throttled_time", Class: metric.CPU, Unit: metric.Seconds,
			Help:   "Time that the target's run queues were stopped by its CPU limit, in sum over CPUs: it can grow by more than a second per second.",
			Source: "cpu.stat throttled_usec; v1 cpu: cpu.stat throttled_time",
		},
		{
			Name: "cpu_limit", Class: metric.CPU, Kind: metric.Gauge, Unit: metric.Seconds,
			Help:   "CPU limit in CPU seconds per second, that is in cores: 0.5 is half a core; absent without a limit, an ancestor's limit is not looked at; read every tenth time.",
			Source: "cpu.max; v1 cpu: cpu.cfs_quota_us / cpu.cfs_period_us; node: /sys/devices/system/cpu/online",
		},
		{
			Name: "cpu_request", Class: metric.CPU, Kind: metric.Gauge, Unit: metric.Seconds,
			Help:   "CPU request in cores as far as the weight tells it: shares / 1024, or the linear conversion of cpu.weight that Kubernetes used up to runc 1.3 turned back (steps of 0.026 cores; newer runtimes convert otherwise); absent outside Kubernetes when the weight is the default; read every tenth time.",
			Source: "cpu.weight; v1 cpu: cpu.shares",
		},
	}
}

func memoryFiles() []metric.Family {
	pages := []metric.Label{{Name: "page", Values: []string{"anon", "file"}}}
	rows := []metric.Family{
		{
			Name: "memory_current_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "Memory charged to the target: anonymous pages, page cache, kernel memory; pages that another target touched first are charged there.",
			Source: "memory.current; v1 memory: memory.usage_in_bytes; node: /proc/meminfo MemTotal - MemFree",
		},
		{
			Name: "memory_anon_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "Anonymous memory of the target that is in RAM: heaps and stacks, not shared memory; shifts that leave the total as it is show up to ten reads late.",
			Source: "memory.stat anon; v1 memory: memory.stat total_rss; node: /proc/meminfo AnonPages",
		},
		{
			Name: "memory_file_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "Page cache charged to the target, tmpfs and shared memory included.",
			Source: "memory.stat file; v1 memory: memory.stat total_cache; node: /proc/meminfo Cached + Buffers",
		},
		{
			Name: "memory_working_set_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "memory_current_bytes less the page cache that has not been used lately, as the kubelet reckons it for eviction; dirty and active cache is in it, pages that were read again where the kernel keeps generations (lru_gen) only after its next look at them; pages that only change lists show up to ten reads late.",
			Source: "memory.current - memory.stat inactive_file; v1 memory: usage_in_bytes - total_inactive_file; node: /proc/meminfo MemTotal - MemFree - Inactive(file)",
		},
		{
			Name: "memory_refaults", Labels: pages,
			Help:   "Pages that came back from disk soon after they had been reclaimed: the target's working set does not fit; first-time reads are not in it.",
			Source: "memory.stat workingset_refault_anon, workingset_refault_file; v1 memory: total_workingset_refault_*; node: /proc/vmstat",
		},
		{
			Name: "memory_swap_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "Swap that the target occupies, before compression.",
			Source: "memory.swap.current; v1 memory: memory.stat total_swap; node: /proc/meminfo SwapTotal - SwapFree",
		},
		{
			Name:   "memory_high_events",
			Help:   "Times that the target was slowed down and made to reclaim because it was over memory.high; cgroup v1 has no such limit.",
			Source: "memory.events high",
		},
		{
			Name:   "memory_max_events",
			Help:   "Times that a charge met the memory limit and had to reclaim first; an OOM kill need not follow.",
			Source: "memory.events max; v1 memory: memory.failcnt",
		},
		{
			Name:   "memory_oom_kills",
			Help:   "Processes of the target that the OOM killer ended, for whatever limit; on v1 those in cgroups inside the target are not in it.",
			Source: "memory.events oom_kill; v1 memory: memory.oom_control oom_kill; node: /proc/vmstat oom_kill",
		},
		{
			Name: "memory_limit_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "Memory limit of the target; absent without one, an ancestor's limit is not looked at; read every tenth time.",
			Source: "memory.max; v1 memory: memory.limit_in_bytes; node: /proc/meminfo MemTotal",
		},
	}
	for i := range rows {
		rows[i].Class, rows[i].Owner = metric.Memory, metric.OwnerMemcg
	}
	return rows
}

func otherFiles() []metric.Family {
	byDevice := []metric.Label{{Name: "device"}, {Name: "operation", Values: []string{"read", "write", "discard"}}}
	return []metric.Family{
		{
			Name: "io_bytes", Class: metric.Disk, Unit: metric.Bytes, Labels: byDevice, Owner: metric.OwnerBio,
			Help:   "Bytes that block devices moved for the target, whole disks by name; cached reads are not in it, written-back pages count for who dirtied them only on cgroup v2.",
			Source: "io.stat rbytes, wbytes, dbytes; v1 blkio: blkio.throttle.io_service_bytes_recursive (or .bfq.); node: /proc/diskstats",
		},
		{
			Name: "io_operations", Class: metric.Disk, Labels: byDevice, Owner: metric.OwnerBio,
			Help:   "Block operations for the target, by whole disk; on the node operations are counted after merging, in cgroups before it.",
			Source: "io.stat rios, wios, dios; v1 blkio: blkio.throttle.io_serviced_recursive (or .bfq.); node: /proc/diskstats",
		},
		{
			Name: "pids", Class: metric.Process, Kind: metric.Gauge,
			Help:   "Tasks of the target, each thread counted, zombies included.",
			Source: "pids.current; v1 pids: the same; node: /proc/loadavg",
		},
		{
			Name: "pids_limit", Class: metric.Process, Kind: metric.Gauge,
			Help:   "Limit on the target's tasks; absent without one, an ancestor's limit is not looked at; read every tenth time.",
			Source: "pids.max; v1 pids: the same; node: /proc/sys/kernel/pid_max",
		},
		{
			Name: "restarts", Class: metric.Process,
			Help:   "Times that the target began again, as far as the agent saw it: a container under the name that it had in the same pod, or in the same runtime, a unit or any other cgroup under the same name. A process that a supervisor starts again in the same cgroup is none (execs, exits), nor is a new pod.",
			Source: "cgroup_mkdir and the names of runtimes",
		},
	}
}

func pressureFiles() []metric.Family {
	return []metric.Family{
		{
			Name: "psi_cpu_some", Class: metric.CPU, Unit: metric.Seconds,
			Help:   "Time in which at least one task of the target waited for a CPU, its CPU limit included; wall time, not a sum over tasks.",
			Source: "cpu.pressure some; node: /proc/pressure/cpu",
		},
		{
			Name: "psi_cpu_full", Class: metric.CPU, Unit: metric.Seconds,
			Help:   "Time in which no task of the target ran because all that could run waited for a CPU, as when throttled; always 0 on the node.",
			Source: "cpu.pressure full; node: /proc/pressure/cpu",
		},
		{
			Name: "psi_memory_some", Class: metric.Memory, Unit: metric.Seconds,
			Help:   "Time in which at least one task of the target waited for memory: reclaim, refaults, swap.",
			Source: "memory.pressure some; node: /proc/pressure/memory",
		},
		{
			Name: "psi_memory_full", Class: metric.Memory, Unit: metric.Seconds,
			Help:   "Time in which every task of the target that was not idle waited for memory.",
			Source: "memory.pressure full; node: /proc/pressure/memory",
		},
		{
			Name: "psi_io_some", Class: metric.Disk, Unit: metric.Seconds,
			Help:   "Time in which at least one task of the target waited for block IO; network file systems are not in it.",
			Source: "io.pressure some; node: /proc/pressure/io",
		},
		{
			Name: "psi_io_full", Class: metric.Disk, Unit: metric.Seconds,
			Help:   "Time in which every task of the target that was not idle waited for block IO.",
			Source: "io.pressure full; node: /proc/pressure/io",
		},
	}
}
