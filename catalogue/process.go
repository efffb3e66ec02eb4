package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func processRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		if f.Kernel == "" {
			f.Kernel = "5.12"
		}
		f.Class, f.Tier, f.Kind, f.Unit = metric.Process, metric.Event, metric.Counter, metric.One
		f.Owner, f.Object, f.Sampling = metric.OwnerTask, "process", metric.Rare
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "forks", Rungs: [][]string{{"process_fork"}},
			Labels: []metric.Label{{Name: "kind", Values: []string{"process", "thread"}}},
			Help:   "Processes and threads that began in the target, kernel threads that work for a process (io_uring) among them; one that is started by another target straight into this one counts here, one that moves in later does not.",
			Source: "task_newtask",
		}),
		row(metric.Family{
			Name: "execs", Rungs: [][]string{{"process_exec"}},
			Help:   "Times that a process of the target took up another program; attempts that failed are not in it.",
			Source: "sched_process_exec",
		}),
		row(metric.Family{
			Name: "exits", Rungs: [][]string{{"process_exit"}, {"process_exit_first"}},
			Labels: []metric.Label{{Name: "result", Values: []string{"ok", "error", "signal"}}},
			Help:   "Processes of the target that ended, by what wait(2) says: exit code 0 (ok), another exit code (error), a fatal signal; threads that end before their process are not in it.",
			Source: "sched_process_exit of the last thread, exit code of the group",
		}),
		row(metric.Family{
			Name: "exit_codes", Rungs: [][]string{{"process_exit"}, {"process_exit_first"}},
			Labels: []metric.Label{{Name: "code", Values: []string{"0", "1", "2", "126", "127", "130", "134", "137", "139", "143", "other"}}},
			Help:   "Processes of the target that ended, by exit code as shells and Kubernetes tell it: 128 and the signal's number where a signal ended it, so that 130 is SIGINT or a code 130, 134 SIGABRT, 137 SIGKILL (out of memory among others), 139 SIGSEGV, 143 SIGTERM; 126 and 127 are commands that a shell could not run.",
			Source: "sched_process_exit of the last thread, exit code of the group",
		}),
		row(metric.Family{
			Name: "oom_victims", Kernel: "6.9", Rungs: [][]string{{"process_oom_victim"}},
			Help:   "Processes of the target that the kernel chose to die because memory ran out, on the machine or in a memory cgroup, whoever asked for the memory; those that were about to end by themselves and were given memory to do so are among them, which memory_oom_kills does not count.",
			Source: "mark_victim",
		}),
		row(metric.Family{
			Name: "signals", Rungs: [][]string{{"process_signal"}},
			Labels: []metric.Label{{Name: "signal", Values: []string{"kill", "term", "fault", "abort", "pipe", "child", "timer", "other"}}},
			Help:   "Signals sent to tasks of the target and accepted, whoever sent them: SIGKILL, SIGTERM, faults (SEGV, BUS, ILL, FPE, TRAP, SYS), SIGABRT, SIGPIPE, SIGCHLD, timers (ALRM, VTALRM, PROF) and all others; ignored ones and ones that were pending already are not in it, and a process that is killed counts one, not one a thread.",
			Source: "signal_generate, result delivered",
		}),
	}
}
