//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Interrupts and the work that they leave for later. Both meet whatever task runs,
 * or the idle one: they are the node's. */
#include "vp.h"

const volatile u64 on_softirq_time, on_softirqs, on_interrupts;

#define VECTORS 10 /* include/linux/interrupt.h: NR_SOFTIRQS */
/* One for all CPUs: only the node has values. */
struct softirq_cell {
	u64 softirq_time[VECTORS], softirqs[VECTORS], interrupts;
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct softirq_cell);
} softirq_cells SEC(".maps");

/* When this CPU began its work. A CPU does one at a time: hard interrupts that come
 * meanwhile do not start another. */
struct softirq_cpu {
	u64 began;
	u32 epoch, switched;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct softirq_cpu);
} softirq_cpus SEC(".maps");

u32 vp_epoch; /* grows with each attachment */

static __always_inline struct softirq_cell *cell(void)
{
	u32 node = VP_NODE;

	return bpf_map_lookup_elem(&softirq_cells, &node);
}

SEC("tp_btf/softirq_entry")
int VP_WINDOWED(softirq_begin, u32 vector)
{
	u64 on = vp_on(VP_NODE, on_softirq_time | on_softirqs);
	struct softirq_cell *c;
	struct softirq_cpu *p;
	u32 zero = 0;

	if (!on)
		return 0;
	if (on & on_softirqs) {
		c = cell();
		if (c && vector < VECTORS)
			__sync_fetch_and_add(&c->softirqs[vector], 1);
	}
	if (on & on_softirq_time) {
		p = bpf_map_lookup_elem(&softirq_cpus, &zero);
		if (!p)
			return 0;
		p->epoch = vp_epoch;
		p->switched = vp_switched(VP_NODE);
		p->began = bpf_ktime_get_ns();
	}
	return 0;
}

SEC("tp_btf/softirq_exit")
int VP_WINDOWED(softirq_end, u32 vector)
{
	struct softirq_cell *c;
	struct softirq_cpu *p;
	u32 zero = 0;

	if (!vp_on(VP_NODE, on_softirq_time))
		return 0;
	p = bpf_map_lookup_elem(&softirq_cpus, &zero);
	c = cell();
	if (!p || !c || !p->began || vector >= VECTORS)
		return 0;
	if (p->epoch == vp_epoch && p->switched == vp_switched(VP_NODE))
		__sync_fetch_and_add(&c->softirq_time[vector], bpf_ktime_get_ns() - p->began);
	p->began = 0;
	return 0;
}

SEC("tp_btf/irq_handler_entry")
int VP_WINDOWED(softirq_interrupt)
{
	struct softirq_cell *c;

	if (!vp_on(VP_NODE, on_interrupts))
		return 0;
	c = cell();
	if (c)
		__sync_fetch_and_add(&c->interrupts, 1);
	return 0;
}
