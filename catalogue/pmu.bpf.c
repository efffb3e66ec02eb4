//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Counters of the CPU's performance monitoring unit, by the task that ran: they are
 * read when a task of a target comes on a CPU and when it leaves. User space opens
 * one counter for each CPU and puts it into the map. */
#include "vp.h"

const volatile u64 on_cpu_cycles, on_cpu_instructions, on_llc_misses;

#define COUNTER(name)                                         \
	struct {                                              \
		__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);  \
		__uint(key_size, sizeof(u32));                \
		__uint(value_size, sizeof(u32));              \
	} name SEC(".maps")
COUNTER(cpu_cycles_counters);
COUNTER(cpu_instructions_counters);
COUNTER(llc_misses_counters);

enum { CYCLES, INSTRUCTIONS, MISSES, COUNTERS };
/* Per CPU. */
struct pmu_cell {
	u64 cpu_cycles, cpu_instructions, llc_misses;
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pmu_cell);
} pmu_cells SEC(".maps");

/* Who came on this CPU last, and what the counter said then. */
struct pmu_run {
	u64 counted;
	u32 pid, switched, epoch;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, u32);
	__type(value, struct pmu_run);
} pmu_runs SEC(".maps");

u32 vp_epoch; /* grows with each attachment */

/* The increase of the counter since prev came on the CPU; 0 where that was not seen. */
static __always_inline u64 ran(void *counters, u32 which, u64 on, struct task_struct *prev, struct task_struct *next, u32 *slot)
{
	u32 pslot = vp_task_slot(prev), nslot = vp_task_slot(next);
	bool leaves = prev->pid && vp_on(pslot, on), comes = next->pid && vp_on(nslot, on);
	struct bpf_perf_event_value v;
	struct pmu_run *r;
	u64 n = 0;

	if (!leaves && !comes)
		return 0;
	r = bpf_map_lookup_elem(&pmu_runs, &which);
	if (!r)
		return 0;
	/* A counter that is not there all the time (enabled, but not running) is no count. */
	if (bpf_perf_event_read_value(counters, BPF_F_CURRENT_CPU, &v, sizeof(v)) || v.enabled != v.running) {
		r->pid = 0;
		vp_fail();
		return 0;
	}
	if (leaves && r->pid == prev->pid && r->epoch == vp_epoch && r->switched == vp_switched(pslot))
		n = v.counter - r->counted;
	r->pid = comes ? next->pid : 0;
	r->counted = v.counter;
	r->switched = vp_switched(nslot);
	r->epoch = vp_epoch;
	*slot = pslot;
	return n;
}

static __always_inline struct pmu_cell *cell(u32 slot)
{
	u32 i = slot * vp_copies + bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&pmu_cells, &i);
}

/* One program for each counter: who wants one does not pay for the others. */
#define PROGRAM(program, which, family)                                                                              \
	SEC("tp_btf/sched_switch")                                                                                   \
	int BPF_PROG(program, bool preempt, struct task_struct *prev, struct task_struct *next)                      \
	{                                                                                                            \
		u32 slot = 0;                                                                                        \
		u64 n = ran(&family##_counters, which, on_##family, prev, next, &slot);                              \
		struct pmu_cell *c = n ? cell(slot) : NULL;                                                          \
                                                                                                                     \
		if (c)                                                                                               \
			c->family += n;                                                                              \
		return 0;                                                                                            \
	}
PROGRAM(pmu_cycles, CYCLES, cpu_cycles)
PROGRAM(pmu_instructions, INSTRUCTIONS, cpu_instructions)
PROGRAM(pmu_misses, MISSES, llc_misses)
