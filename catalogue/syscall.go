package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func syscallRows() []metric.Family {
	classes := []metric.Label{{Name: "class", Values: []string{"read", "write", "open", "close", "wait", "network", "memory", "process", "futex", "time", "other"}}}
	both := [][]string{{"syscall_enter", "syscall_exit"}}
	row := func(f metric.Family) metric.Family {
		f.Tier, f.Owner, f.Object, f.OnDemand = metric.Event, metric.OwnerTask, "syscall", true
		if f.Class == "" {
			f.Class = metric.Syscall
		}
		if f.Kind == "" {
			f.Kind = metric.Counter
		}
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "syscalls", Unit: metric.One, Labels: classes, PerCPU: true, Sampling: metric.Events, Rungs: [][]string{{"syscall_enter"}},
			Help:   "System calls that tasks of the target began, by class: reading and writing of files (read and write on sockets too), network (what only sockets have), wait (poll, select, epoll, io_uring_enter, wait4), memory, process, futex, time, and the rest; calls of 32-bit programs are other, one that the kernel starts again after a signal counts again, and what needs no call (vDSO clocks, io_uring's rings) is not seen.",
			Source: "sys_enter",
		}),
		row(metric.Family{
			Name: "syscall_errors", Unit: metric.One, Labels: classes, PerCPU: true, Sampling: metric.Events, Rungs: [][]string{{"syscall_exit"}},
			Help:   "System calls of the target that returned an error, EAGAIN of what must not block among them; ends by a signal after which the kernel may start the call again are not errors here, even where the program is told EINTR; calls that seccomp refuses are here and not in syscalls.",
			Source: "sys_exit",
		}),
		row(metric.Family{
			Name: "syscall_latency", Sum: "syscalls", Kind: metric.Histogram, Unit: metric.Seconds, Labels: classes, Sampling: metric.Pairs, Rungs: both,
			Help:   "Time from the beginning to the end of a system call, waiting included; calls that were under way when the family was switched on, or when their task changed its cgroup, and calls that do not return are not in it.",
			Source: "sys_enter to sys_exit of a task",
		}),
		row(metric.Family{
			Name: "futex_wait", Kind: metric.Histogram, Unit: metric.Seconds, Sampling: metric.Pairs, Rungs: both,
			Help:   "How long tasks of the target waited in futex calls for a lock or a condition, until they were woken, timed out or had a signal; threads that merely have nothing to do wait so too, calls that found the value changed already are not in it.",
			Source: "futex (WAIT, WAIT_BITSET, LOCK_PI, WAIT_REQUEUE_PI), futex_wait, futex_waitv",
		}),
		row(metric.Family{
			Name: "file_latency", Class: metric.Filesystem, Sampling: metric.Pairs, Kind: metric.Histogram, Unit: metric.Seconds, Rungs: both,
			Labels: []metric.Label{{Name: "operation", Values: []string{"read", "write", "open", "fsync"}}},
			Help:   "How long tasks of the target were in calls on regular files, failed ones too: read (read, pread, readv, preadv), write (likewise), fsync (fsync, fdatasync) and open, which counts when it found a regular file. Those of /proc and /sys are among them; splice and its kin, io_uring, mapped files and 32-bit programs are not.",
			Source: "sys_enter to sys_exit of a task, the descriptor's inode",
		}),
	}
}
