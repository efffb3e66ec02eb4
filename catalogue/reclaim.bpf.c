//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Tasks that must make room themselves before they get memory, or must wait until
 * dirty pages were written. All of it happens in the task that is held up: the
 * current task is the owner, whoever's pages it frees. */
#include "vp.h"

const volatile u64 on_reclaim_latency, on_reclaimed_pages, on_writeback_stall;
const volatile u64 vp_jiffy_ns;

enum { DIRECT, MEMCG, KINDS };
VP_HISTOGRAM(reclaim_latency);
VP_HISTOGRAM(writeback_stall);

struct reclaim_cell {
	u64 reclaimed_pages[KINDS];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct reclaim_cell);
} reclaim_cells SEC(".maps");

/* When the task began to reclaim, under which switches: it may have begun once more
 * while they were off. Within one reclaim it cannot (PF_MEMALLOC). */
struct reclaim_task {
	u64 began;
	u32 epoch, slot, switched;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct reclaim_task);
} reclaim_tasks SEC(".maps");

u32 vp_epoch; /* grows with each attachment: an end may have been missed between two */

static __always_inline int begin(void)
{
	struct task_struct *t = bpf_get_current_task_btf();
	u32 slot = vp_task_slot(t);
	struct reclaim_task *s;

	if (!vp_on(slot, on_reclaim_latency))
		return 0;
	s = bpf_task_storage_get(&reclaim_tasks, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		vp_fail();
		return 0;
	}
	s->epoch = vp_epoch;
	s->slot = slot;
	s->switched = vp_switched(slot);
	s->began = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int end(u32 kind, u64 pages)
{
	struct task_struct *t = bpf_get_current_task_btf();
	u32 slot = vp_task_slot(t);
	u64 on = vp_on(slot, on_reclaim_latency | on_reclaimed_pages);
	struct reclaim_cell *c;
	struct reclaim_task *s;

	if (on & on_reclaimed_pages) {
		c = bpf_map_lookup_elem(&reclaim_cells, &slot);
		if (c)
			__sync_fetch_and_add(&c->reclaimed_pages[kind], pages);
	}
	if (!(on & on_reclaim_latency))
		return 0;
	s = bpf_task_storage_get(&reclaim_tasks, t, 0, 0);
	if (!s || !s->began)
		return 0;
	if (s->epoch == vp_epoch && s->slot == slot && s->switched == vp_switched(slot))
		vp_observe(&reclaim_latency, slot, kind, KINDS, bpf_ktime_get_ns() - s->began);
	s->began = 0;
	return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(reclaim_direct_begin)
{
	return begin();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(reclaim_direct_end, unsigned long pages)
{
	return end(DIRECT, pages);
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(reclaim_memcg_begin)
{
	return begin();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(reclaim_memcg_end, unsigned long pages)
{
	return end(MEMCG, pages);
}

/* Fires before each sleep, and, with a pause of 0 or less, where none is due. */
static __always_inline int pause(long jiffies)
{
	u32 slot;

	if (jiffies <= 0)
		return 0;
	slot = vp_task_slot(bpf_get_current_task_btf());
	if (vp_on(slot, on_writeback_stall))
		vp_observe(&writeback_stall, slot, 0, 1, jiffies * vp_jiffy_ns);
	return 0;
}

SEC("tp_btf/balance_dirty_pages")
int BPF_PROG(reclaim_pause_12, void *wb, u64 thresh, u64 bg_thresh, u64 dirty, u64 bdi_thresh, u64 bdi_dirty,
	     u64 dirty_ratelimit, u64 task_ratelimit, u64 dirtied, u64 period, long jiffies)
{
	return pause(jiffies);
}

/* 6.12 has the five numbers of pages apart, 6.18 in one structure. The verifier of
 * the newer kernel refuses the program above, which reads an argument that is not
 * there; it is tried first for that. */
SEC("tp_btf/balance_dirty_pages")
int BPF_PROG(reclaim_pause, void *wb, void *dtc, u64 dirty_ratelimit, u64 task_ratelimit, u64 dirtied, u64 period, long jiffies)
{
	return pause(jiffies);
}
