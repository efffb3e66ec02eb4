//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Page faults as they happen, by the mode that the CPU was in. The task that
 * faults is the current one, always: what another task (process_vm_writev, a
 * vhost thread) touches of this one's memory is that task's, or no exception at
 * all where the kernel pins pages by itself. */
#include "vp.h"

/* include/linux/mm_types.h: enum fault_flag, enum vm_fault_reason */
#define FAULT_FLAG_TRIED 0x20
#define FAULT_FLAG_USER 0x40
#define VM_FAULT_MAJOR 4
#define VM_FAULT_RETRY 0x400

const volatile u64 on_user_faults, on_kernel_faults, on_page_fault_latency;

enum { MINOR, MAJOR, KINDS };
VP_HISTOGRAM(page_fault_latency);

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

	slot = vp_task_slot(bpf_get_current_task_btf());
	if (!vp_on(slot, on))
		return NULL;
	i = slot * vp_copies + bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&fault_cells, &i);
}

SEC("tp_btf/page_fault_user")
int VP_WINDOWED(fault_user)
{
	struct fault_cell *c = cell(on_user_faults);

	if (c)
		c->user_faults++;
	return 0;
}

SEC("tp_btf/page_fault_kernel")
int VP_WINDOWED(fault_kernel)
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
int VP_WINDOWED(fault_user_mapped, void *vma, unsigned long address, unsigned int flags, void *regs, unsigned int ret)
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
int VP_WINDOWED(fault_kernel_mapped, void *vma, unsigned long address, unsigned int flags, void *regs, unsigned int ret)
{
	struct fault_cell *c;

	if (!regs || flags & FAULT_FLAG_USER || ret & VM_FAULT_RETRY)
		return 0;
	c = cell(on_kernel_faults);
	if (c)
		__sync_fetch_and_add(&c->kernel_faults, 1);
	return 0;
}

/* The fault that a task is in. A try that must be made again (the page is being read
 * from a disk) is part of it. */
struct fault_task {
	u64 began, address;
	u32 switched, epoch;
	bool again, major;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct fault_task);
} fault_tasks SEC(".maps");

u32 vp_epoch; /* grows with each attachment */

SEC("fentry/handle_mm_fault")
int BPF_PROG(fault_begin, void *vma, unsigned long address, unsigned int flags, void *regs)
{
	struct task_struct *t = bpf_get_current_task_btf();
	u32 slot = vp_task_slot(t);
	struct fault_task *s;

	if (!regs || !vp_on(slot, on_page_fault_latency))
		return 0;
	s = bpf_task_storage_get(&fault_tasks, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		vp_fail();
		return 0;
	}
	if (s->again && s->address == address && s->epoch == vp_epoch && s->switched == vp_switched(slot))
		return 0;
	s->address = address;
	s->switched = vp_switched(slot);
	s->epoch = vp_epoch;
	s->again = s->major = false;
	s->began = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(fault_end, void *vma, unsigned long address, unsigned int flags, void *regs, unsigned int ret)
{
	struct task_struct *t = bpf_get_current_task_btf();
	u32 slot = vp_task_slot(t);
	struct fault_task *s;

	if (!regs || !vp_on(slot, on_page_fault_latency))
		return 0;
	s = bpf_task_storage_get(&fault_tasks, t, 0, 0);
	if (!s || !s->began || s->address != address || s->epoch != vp_epoch || s->switched != vp_switched(slot))
		return 0;
	/* As mm_account_fault: a second try is after IO, whoever began that. */
	s->major |= ret & VM_FAULT_MAJOR || flags & FAULT_FLAG_TRIED;
	s->again = ret & VM_FAULT_RETRY;
	if (s->again)
		return 0;
	vp_observe(&page_fault_latency, slot, s->major ? MAJOR : MINOR, KINDS, bpf_ktime_get_ns() - s->began);
	s->began = 0;
	return 0;
}
