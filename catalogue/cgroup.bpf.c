//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Targets as they come and go: a new cgroup below a watched parent has its slot
 * here, before its first task runs; user space is told, names it, and takes the
 * slot back when the kernel has released the cgroup. No family of its own. */
#include "vp.h"

#define VP_PATH 256

enum vp_event_kind { VP_MKDIR = 1, VP_RMDIR = 2, VP_RELEASE = 3 };

struct vp_event {
	u64 id, parent, now;
	u32 kind, slot;
	char path[VP_PATH];
};
const struct vp_event *vp_unused __attribute__((unused)); /* keeps the type in BTF */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} vp_events SEC(".maps");

/* Slots that nobody has. A stack, so that few chunks of histograms are in use. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1024);
	__type(value, u32);
} vp_free SEC(".maps");

u64 vp_events_lost, vp_no_slot, vp_no_room;

static __always_inline struct vp_event *event(void)
{
	struct vp_event *e = bpf_ringbuf_reserve(&vp_events, sizeof(*e), 0);

	if (!e)
		__sync_fetch_and_add(&vp_events_lost, 1);
	return e;
}

static __always_inline void tell(struct vp_event *e, struct cgroup *cgrp, u64 parent, u32 kind, u32 slot, const char *path)
{
	e->id = cgrp->kn->id;
	e->parent = parent;
	e->now = bpf_ktime_get_ns();
	e->kind = kind;
	e->slot = slot;
	e->path[0] = 0;
	bpf_probe_read_kernel_str(e->path, sizeof(e->path), path);
	bpf_ringbuf_submit(e, 0);
}

static __always_inline u32 take(u32 template)
{
	struct vp_slot *from, *to;
	u32 slot;

	if (bpf_map_pop_elem(&vp_free, &slot)) {
		__sync_fetch_and_add(&vp_no_slot, 1);
		return VP_REMAINDER;
	}
	from = bpf_map_lookup_elem(&vp_slots, &template);
	to = bpf_map_lookup_elem(&vp_slots, &slot);
	if (from && to) {
		to->sampled = from->sampled;
		__builtin_memcpy(to->rate, from->rate, sizeof(to->rate));
		to->whole = from->whole;
		to->on = from->on;
	}
	return slot;
}

static __always_inline struct vp_direct *direct(u64 id)
{
	u32 i = id % VP_DIRECT;

	return bpf_map_lookup_elem(&vp_direct, &i);
}

/* User space does the same (internal/probe/slots.go). */
static __always_inline void remember(u64 id, u32 slot)
{
	struct vp_direct *d = direct(id);

	if (!d || __sync_val_compare_and_swap(&d->id, 0, VP_TAKEN))
		return;
	d->slot = slot;
	__sync_lock_test_and_set(&d->id, id);
}

static __always_inline void forget(u64 id)
{
	struct vp_direct *d = direct(id);

	if (d)
		__sync_val_compare_and_swap(&d->id, id, 0);
}

/* Enters a new cgroup by what its parent says, and gives its slot. A slot of its
 * own is only given where user space will hear of it, who takes it back. */
static __always_inline u32 enter(u64 id, u64 parent, bool told)
{
	struct vp_cgroup *p = bpf_map_lookup_elem(&vp_cgroups, &parent), c;

	if (!p)
		return VP_REMAINDER;
	c = *p;
	if (c.levels == 1) {
		c.slot = told ? take(c.template) : VP_REMAINDER;
		c.template = 0;
	}
	if (c.levels)
		c.levels--;
	if (bpf_map_update_elem(&vp_cgroups, &id, &c, BPF_ANY))
		__sync_fetch_and_add(&vp_no_room, 1);
	else
		remember(id, c.slot);
	return c.slot;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgrp, const char *path)
{
	u64 id = cgrp->kn->id, parent = cgrp->self.parent->cgroup->kn->id;
	struct vp_event *e;

	if (cgrp->root->hierarchy_id) /* v1: its ids collide with ours */
		return 0;
	e = event();
	if (e)
		tell(e, cgrp, parent, VP_MKDIR, enter(id, parent, true), path);
	else
		enter(id, parent, false);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgrp, const char *path)
{
	struct vp_event *e;

	if (cgrp->root->hierarchy_id)
		return 0;
	e = event();
	if (e)
		tell(e, cgrp, 0, VP_RMDIR, vp_slot_of(cgrp->kn->id), path);
	return 0;
}

SEC("tp_btf/cgroup_release")
int BPF_PROG(cgroup_release, struct cgroup *cgrp, const char *path)
{
	u64 id = cgrp->kn->id;
	struct vp_event *e;

	if (cgrp->root->hierarchy_id)
		return 0;
	e = event();
	if (e)
		tell(e, cgrp, 0, VP_RELEASE, vp_slot_of(id), path);
	forget(id);
	bpf_map_delete_elem(&vp_cgroups, &id);
	return 0;
}
