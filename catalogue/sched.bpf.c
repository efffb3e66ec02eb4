//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Time on and off the CPU, at sched_switch. The kernel keeps when a task was
 * queued and when it arrived (sched_info), on the run queue's own clock, so no
 * start map is needed. A migration restarts last_queued (kernel/sched/stats.h:
 * sched_info_dequeue): runq_latency is the wait on the queue the task ran from. */
#include "vp.h"

const volatile u64 on_runq_latency, on_oncpu_slice, on_offcpu_time;

u64 vp_wanted; /* families that any target wants: whose slot to look up */

VP_HISTOGRAM(runq_latency);
VP_HISTOGRAM(oncpu_slice);
VP_HISTOGRAM(offcpu_time);

/* Task storage is made outside sched_switch: it must not allocate under the run
 * queue's lock. */
struct sched_task {
	u64 left; /* run queue clock when it was switched out; 0: unknown */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sched_task);
} sched_tasks SEC(".maps");

static __always_inline u64 clock_of(struct task_struct *t)
{
	return t->se.cfs_rq->rq->clock;
}

/* Run queue clocks of two CPUs may differ by a little: never below 0. */
static __always_inline u64 since(struct task_struct *t, u64 then)
{
	u64 now = clock_of(t);

	return now > then ? now - then : 0;
}

SEC("tp_btf/sched_switch")
int VP_WINDOWED(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u32 slot;
	u64 t;

	/* Half of a machine's switches are to or from an idle CPU: its task is nobody's. */
	if (vp_wanted & on_runq_latency && next->pid) {
		slot = vp_task_slot(next);
		t = vp_on(slot, on_runq_latency) ? next->sched_info.last_queued : 0;
		if (t)
			vp_observe_cpu(&runq_latency, slot, since(next, t));
	}
	if (vp_wanted & on_oncpu_slice && prev->pid) {
		slot = vp_task_slot(prev);
		t = vp_on(slot, on_oncpu_slice) ? prev->sched_info.last_arrival : 0;
		if (t)
			vp_observe_cpu(&oncpu_slice, slot, since(prev, t));
	}
	return 0;
}

/* Off-CPU time needs a stamp of our own: a second program, attached only where
 * somebody wants it. */
SEC("tp_btf/sched_switch")
int BPF_PROG(sched_offcpu, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct sched_task *s;

	u32 slot;

	if (prev->pid && vp_on(vp_task_slot(prev), on_offcpu_time)) {
		s = bpf_task_storage_get(&sched_tasks, prev, 0, 0);
		if (s)
			s->left = clock_of(prev);
	}
	if (!next->pid)
		return 0;
	slot = vp_task_slot(next);
	if (!vp_on(slot, on_offcpu_time))
		return 0;
	s = bpf_task_storage_get(&sched_tasks, next, 0, 0);
	if (s && s->left)
		vp_observe_cpu(&offcpu_time, slot, since(next, s->left));
	if (s)
		s->left = 0;
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_fork, struct task_struct *parent, struct task_struct *child)
{
	if (vp_on(vp_task_slot(child), on_offcpu_time) &&
	    !bpf_task_storage_get(&sched_tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE))
		vp_fail();
	return 0;
}

SEC("iter/task")
int sched_tick(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;

	if (t && vp_on(vp_task_slot(t), on_offcpu_time) &&
	    !bpf_task_storage_get(&sched_tasks, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE))
		vp_fail();
	return 0;
}
