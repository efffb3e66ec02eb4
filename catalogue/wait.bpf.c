//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Why a task waited for a CPU: for time of its quota, behind tasks of its own target,
 * or for something else. No program runs when a wait begins: what happened during it
 * is kept for each CPU, and looked through at its end. What a wait is, and on which
 * clock, is as in sched.bpf.c; this is apart for the memory that it takes. */
#include "vp.h"

const volatile u64 on_runq_wait;

enum { THROTTLED, OWN, ELSE, UNKNOWN, CAUSES };
struct wait_cell {
	u64 runq_wait[CAUSES];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct wait_cell);
} wait_cells SEC(".maps");

/* The last runs of a CPU: from when, whose. Each ends where the next begins. */
#define RUNS 256
#define IDLE (~0U)
struct wait_run {
	u64 from; /* 0: what was before is not known */
	u64 slot;
};
struct wait_cpu {
	u32 next;
	struct wait_run runs[RUNS];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct wait_cpu);
} wait_cpus SEC(".maps");

/* The last times that a target's run queue of a CPU was throttled, as they are found
 * when one of its tasks runs again. total is what the kernel had counted then. */
#define THROTTLES 4
struct wait_throttle {
	u64 queue, total; /* queue: the cfs_rq that total is of */
	u32 gen, next;
	struct {
		u64 from, to;
	} last[THROTTLES];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct wait_throttle);
} wait_throttles SEC(".maps");

/* How long a run queue was throttled so far, by its own limit or an ancestor's. Since
 * 6.6 (677ea015f231) on the run queue's clock; before, on the one that load is
 * tracked by, which stands still in interrupts and is slower on a slow CPU. */
static __always_inline u64 throttled(struct cfs_rq *q)
{
	if (bpf_core_field_exists(q->throttled_clock_self_time))
		return q->throttled_clock_self_time;
	if (bpf_core_field_exists(((struct cfs_rq___before_6_6 *)q)->throttled_clock_pelt_time))
		return ((struct cfs_rq___before_6_6 *)q)->throttled_clock_pelt_time;
	return 0; /* CONFIG_CFS_BANDWIDTH */
}

static __always_inline u64 overlap(u64 from, u64 to, u64 began, u64 now)
{
	from = from > began ? from : began;
	to = to < now ? to : now;
	return to > from ? to - from : 0;
}

/* The part of the wait [began, now] in which the task's run queue was throttled. It
 * ended before now, when exactly is not known: as if now, where it is new. */
static __always_inline u64 throttled_in(struct cfs_rq *q, u32 slot, u64 began, u64 now)
{
	u64 total = throttled(q), sum = 0;
	struct wait_throttle *s;

	if (!total)
		return 0;
	s = bpf_map_lookup_elem(&wait_throttles, &slot);
	if (!s)
		return 0;
	if (s->queue != (u64)q || s->gen != vp_gen(slot) || total < s->total) {
		__builtin_memset(s, 0, sizeof(*s));
		s->queue = (u64)q;
		s->gen = vp_gen(slot);
	} else if (total > s->total) {
		u32 i = s->next++ & (THROTTLES - 1);

		s->last[i].from = now - (total - s->total);
		s->last[i].to = now;
	}
	s->total = total;
	for (int i = 0; i < THROTTLES; i++)
		sum += overlap(s->last[i].from, s->last[i].to, began, now);
	return sum;
}

/* What of the wait [began, now] this CPU spent on tasks of the same target, and
 * from when on its runs are known. */
static __always_inline u64 own_in(struct wait_cpu *c, u32 slot, u64 began, u64 now, u64 *known)
{
	u64 to = now, own = 0;
	struct wait_run *r;

	for (u32 i = 1; i <= RUNS; i++) {
		r = &c->runs[(c->next - i) & (RUNS - 1)];
		if (!r->from || r->from > to)
			break;
		if (r->slot == slot)
			own += to - (r->from > began ? r->from : began);
		to = r->from;
		if (to <= began)
			break;
	}
	*known = to > began ? to : began;
	return own;
}

static __always_inline void explain(struct wait_cpu *c, struct task_struct *next, u32 slot, u64 began, u64 now)
{
	u32 i = slot * vp_copies + bpf_get_smp_processor_id();
	struct wait_cell *cell = bpf_map_lookup_elem(&wait_cells, &i);
	u64 wait = now - began, throttle, own, known, unknown;

	if (!cell)
		return;
	throttle = throttled_in(next->se.cfs_rq, slot, began, now);
	own = own_in(c, slot, began, now, &known);
	unknown = known - began;
	throttle = throttle < wait ? throttle : wait;
	wait -= throttle;
	own = own < wait ? own : wait;
	wait -= own;
	unknown = unknown < wait ? unknown : wait;
	cell->runq_wait[THROTTLED] += throttle;
	cell->runq_wait[OWN] += own;
	cell->runq_wait[UNKNOWN] += unknown;
	cell->runq_wait[ELSE] += wait - unknown;
}

static __always_inline void run(struct wait_cpu *c, u64 from, u32 slot)
{
	struct wait_run *r = &c->runs[c->next++ & (RUNS - 1)];

	r->from = from;
	r->slot = slot;
}

/* The run that ends must be the one that was noted last: the kernel keeps when it
 * began, on the same clock. It is another where switches were not seen, before this
 * program was attached or because it was skipped. */
static __always_inline void check(struct wait_cpu *c, struct task_struct *prev)
{
	struct wait_run *r = &c->runs[(c->next - 1) & (RUNS - 1)];
	u64 from = prev->sched_info.last_arrival; /* of the idle task it is none */

	if (prev->pid ? r->from == from : r->slot == IDLE)
		return;
	run(c, 0, IDLE);
	if (prev->pid)
		run(c, from, vp_task_slot(prev));
}

SEC("tp_btf/sched_switch")
int BPF_PROG(wait_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u32 zero = 0, slot = next->pid ? vp_task_slot(next) : IDLE;
	struct wait_cpu *c = bpf_map_lookup_elem(&wait_cpus, &zero);
	u64 now = prev->se.cfs_rq->rq->clock, began;

	if (!c)
		return 0;
	check(c, prev);
	if (slot != IDLE && vp_on(slot, on_runq_wait)) {
		began = next->sched_info.last_queued;
		if (began && now > began)
			explain(c, next, slot, began, now);
	}
	run(c, now, slot);
	return 0;
}
