//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Processes as they begin, change their program and end, and the signals that are
 * sent to them. A signal's sender and who runs out of memory are current; whose it
 * is, is the task that the event is about. All of it is rare. */
#include "vp.h"

/* include/linux/sched/signal.h; include/trace/events/signal.h */
#define SIGNAL_GROUP_EXIT 4
enum { TRACE_SIGNAL_DELIVERED, TRACE_SIGNAL_IGNORED, TRACE_SIGNAL_ALREADY_PENDING, TRACE_SIGNAL_OVERFLOW_FAIL, TRACE_SIGNAL_LOSE_INFO };
/* include/uapi/asm-generic/signal.h, which x86 and arm64 agree with */
enum { ILL = 4, TRAP, ABRT, BUS, FPE, KILL, SEGV = 11, PIPE = 13, ALRM, TERM, CHLD = 17, VTALRM = 26, PROF, SYS = 31 };

const volatile u64 on_forks, on_execs, on_exits, on_exit_codes, on_oom_victims, on_signals;

enum { PROCESS, THREAD, BEGINNINGS };
enum { OK, FAILED, SIGNALLED, ENDS };
enum { C_0, C_1, C_2, C_126, C_127, C_130, C_134, C_137, C_139, C_143, C_OTHER, CODES };
enum { S_KILL, S_TERM, S_FAULT, S_ABORT, S_PIPE, S_CHILD, S_TIMER, S_OTHER, SIGNALS };

struct process_cell {
	u64 forks[BEGINNINGS], execs, exits[ENDS], exit_codes[CODES], oom_victims, signals[SIGNALS];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct process_cell);
} process_cells SEC(".maps");

static __always_inline struct process_cell *cell(struct task_struct *t, u64 on)
{
	u32 slot = vp_task_slot(t);

	return vp_on(slot, on) ? bpf_map_lookup_elem(&process_cells, &slot) : NULL;
}

/* In copy_process, where the new task has its cgroup: kernel threads that work for
 * a process (io_uring, vhost) come by here and not by sched_process_fork. */
SEC("tp_btf/task_newtask")
int BPF_PROG(process_fork, struct task_struct *t)
{
	struct process_cell *c = cell(t, on_forks);

	if (c)
		__sync_fetch_and_add(&c->forks[t->pid == t->tgid ? PROCESS : THREAD], 1);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *t)
{
	struct process_cell *c = cell(t, on_execs);

	if (c)
		__sync_fetch_and_add(&c->execs, 1);
	return 0;
}

/* What wait(2) will say: the code of exit_group or of the fatal signal, else the
 * first thread's. */
static __always_inline int status_of(struct task_struct *t)
{
	struct signal_struct *s = t->signal;

	return s->flags & SIGNAL_GROUP_EXIT ? s->group_exit_code : t->group_leader->exit_code;
}

/* As a shell tells it: 128 and the number of the signal that it died of. */
static __always_inline u32 code_of(int status)
{
	switch (status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff) {
	case 0: return C_0;
	case 1: return C_1;
	case 2: return C_2;
	case 126: return C_126;
	case 127: return C_127;
	case 130: return C_130;
	case 134: return C_134;
	case 137: return C_137;
	case 139: return C_139;
	case 143: return C_143;
	}
	return C_OTHER;
}

static __always_inline void count_exit(struct task_struct *t)
{
	int status = status_of(t);
	u32 end = status & 0x7f ? SIGNALLED : status & 0xff00 ? FAILED : OK, code = code_of(status);
	struct process_cell *c = cell(t, on_exits);

	if (c && end < ENDS)
		__sync_fetch_and_add(&c->exits[end], 1);
	c = cell(t, on_exit_codes);
	if (c && code < CODES)
		__sync_fetch_and_add(&c->exit_codes[code], 1);
}

/* Since 6.16 ("exit: move and extend sched_process_exit() tracepoint") the kernel
 * says who was the last; the verifier of older ones refuses this program. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *t, bool group_dead)
{
	if (group_dead)
		count_exit(t);
	return 0;
}

/* Before 6.16: threads that end at the same time may all find nobody living when
 * they come here. The first of them counts. */
struct process_task {
	u64 ended;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct process_task);
} process_tasks SEC(".maps");

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit_first, struct task_struct *t)
{
	struct process_task *s;

	if (t->signal->live.counter || !vp_on(vp_task_slot(t), on_exits | on_exit_codes))
		return 0;
	s = bpf_task_storage_get(&process_tasks, t->group_leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s)
		vp_fail();
	else if (!__sync_lock_test_and_set(&s->ended, 1))
		count_exit(t);
	return 0;
}

/* Before 6.9 (72ba14deb40a, which stable kernels have taken in) there was only a
 * number here: the verifier refuses this program. */
SEC("tp_btf/mark_victim")
int BPF_PROG(process_oom_victim, struct task_struct *t)
{
	struct process_cell *c = cell(t, on_oom_victims);

	if (c)
		__sync_fetch_and_add(&c->oom_victims, 1);
	return 0;
}

static __always_inline u32 class_of(int sig)
{
	switch (sig) {
	case KILL: return S_KILL;
	case TERM: return S_TERM;
	case ILL: case TRAP: case BUS: case FPE: case SEGV: case SYS: return S_FAULT;
	case ABRT: return S_ABORT;
	case PIPE: return S_PIPE;
	case CHLD: return S_CHILD;
	case ALRM: case VTALRM: case PROF: return S_TIMER;
	}
	return S_OTHER;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(process_signal, int sig, void *info, struct task_struct *t, int group, int result)
{
	struct process_cell *c;
	u32 class;

	if (result != TRACE_SIGNAL_DELIVERED && result != TRACE_SIGNAL_LOSE_INFO)
		return 0;
	c = cell(t, on_signals);
	class = class_of(sig);
	if (c && class < SIGNALS)
		__sync_fetch_and_add(&c->signals[class], 1);
	return 0;
}
