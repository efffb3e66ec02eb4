//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Flushes of the TLB. What a task orders is the task's: the part on its own CPU and
 * the message to other CPUs. The part on other CPUs interrupts whoever runs there:
 * it is the node's. What a CPU flushes because it changes tasks is not counted. */
#include "vp.h"

/* include/linux/mm_types.h: enum tlb_flush_reason; WRONG_CPU since 6.14 */
enum { ON_TASK_SWITCH, REMOTE_SHOOTDOWN, LOCAL_SHOOTDOWN, LOCAL_MM_SHOOTDOWN, REMOTE_SEND_IPI, REMOTE_WRONG_CPU };

const volatile u64 on_tlb_flushes, on_tlb_flushes_received;

enum { LOCAL_ALL, LOCAL, REMOTE, ORDERS };
/* Per CPU. */
struct tlb_cell {
	u64 tlb_flushes[ORDERS], tlb_flushes_received;
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct tlb_cell);
} tlb_cells SEC(".maps");

static __always_inline struct tlb_cell *cell(u32 slot, u64 on)
{
	u32 i;

	if (!vp_on(slot, on))
		return NULL;
	i = slot * vp_copies + bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&tlb_cells, &i);
}

/* A program that interrupts itself is skipped. What interrupts is always another
 * CPU's order, so that the two kinds have programs of their own: of what tasks
 * order none is missed, of what arrives while an order is counted some. */
SEC("tp_btf/tlb_flush")
int VP_WINDOWED(tlb_order, int reason)
{
	struct tlb_cell *c;

	if (reason < LOCAL_SHOOTDOWN || reason > REMOTE_SEND_IPI)
		return 0;
	c = cell(vp_task_slot(bpf_get_current_task_btf()), on_tlb_flushes);
	if (c)
		c->tlb_flushes[reason == LOCAL_SHOOTDOWN ? LOCAL_ALL : reason == REMOTE_SEND_IPI ? REMOTE : LOCAL]++;
	return 0;
}

SEC("tp_btf/tlb_flush")
int VP_WINDOWED(tlb_receive, int reason)
{
	struct tlb_cell *c;

	if (reason != REMOTE_SHOOTDOWN && reason != REMOTE_WRONG_CPU)
		return 0;
	c = cell(VP_NODE, on_tlb_flushes_received);
	if (c)
		c->tlb_flushes_received++;
	return 0;
}
