//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Page faults as they happen, by the mode that the CPU was in. The task that
 * faults is the current one, always: what another task (process_vm_writev, a
 * vhost thread) touches of this one's memory is that task's, or no exception at
 * all where the kernel pins pages by itself. */
#include "vp.h"

/* include/linux/mm_types.h: enum fault_flag, enum vm_fault_reason */
#define FAULT_FLAG_USER 0x40
#define VM_FAULT_RETRY 0x400

const volatile u64 on_user_faults, on_kernel_faults;

/* Cells are per CPU (slot * copies + CPU): a cache line each, so that CPUs share
 * none. */
struct fault_cell {
	u64 user_faults, kernel_faults;
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct fault_cell);
} fault_cells SEC(".maps");

static __always_inline struct fault_cell *cell(u64 on)
{
	u32 slot, i;

	if (vp_closed(on))
		return NULL;
	slot = vp_task_slot(bpf_get_current_task_btf());
	if (!vp_on(slot, on))
		return NULL;
	i = slot * vp_copies + bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&fault_cells, &i);
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(fault_user)
{
	struct fault_cell *c = cell(on_user_faults);

	if (c)
		c->user_faults++;
	return 0;
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(fault_kernel)
{
	struct fault_cell *c = cell(on_kernel_faults);

	if (c)
		c->kernel_faults++;
	return 0;
}

/* The tracepoints are x86's. Elsewhere: faults that reached a mapping and were
 * not to be tried again, as mm_account_fault sees them; regs is NULL where it was
 * no exception (get_user_pages). These programs can be preempted. */
SEC("fexit/handle_mm_fault")
int BPF_PROG(fault_user_mapped, void *vma, unsigned long address, unsigned int flags, void *regs, unsigned int ret)
{
	struct fault_cell *c;

	if (!regs || !(flags & FAULT_FLAG_USER) || ret & VM_FAULT_RETRY)
		return 0;
	c = cell(on_user_faults);
	if (c)
		__sync_fetch_and_add(&c->user_faults, 1);
	return 0;
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(fault_kernel_mapped, void *vma, unsigned long address, unsigned int flags, void *regs, unsigned int ret)
{
	struct fault_cell *c;

	if (!regs || flags & FAULT_FLAG_USER || ret & VM_FAULT_RETRY)
		return 0;
	c = cell(on_kernel_faults);
	if (c)
		__sync_fetch_and_add(&c->kernel_faults, 1);
	return 0;
}
