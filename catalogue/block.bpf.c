//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Requests of block devices, from issue to the last completion, by whose bio they
 * began with: neither issue nor completion need run in the owner's task. The
 * kernel's own stamp (io_start_time_ns) exists only where the queue keeps
 * statistics, so we take our own. Requests of stacked devices that queue (loop,
 * dm-multipath) count at each level. */
#include "vp.h"

/* include/linux/blk_types.h: enum req_op, REQ_OP_MASK */
enum { REQ_OP_READ, REQ_OP_WRITE, REQ_OP_FLUSH, REQ_OP_DISCARD };
#define REQ_OP_MASK 0xff

const volatile u64 on_block_latency, on_block_queue_latency, on_block_size, on_block_bytes, on_block_requests, on_block_errors;

enum { READ, WRITE, FLUSH, DISCARD, OTHER, OPERATIONS };
VP_HISTOGRAM(block_latency);
VP_HISTOGRAM(block_queue_latency);
VP_HISTOGRAM(block_size);

struct block_cell {
	u64 block_bytes[OPERATIONS], block_requests[OPERATIONS], block_errors[OPERATIONS];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct block_cell);
} block_cells SEC(".maps");

/* A request that a device has. Drivers use the same struct request again and
 * again: start_time_ns tells its lives apart, should a completion have been missed. */
struct block_pending {
	u64 issued, start;
	u32 slot, gen, operation, bytes;
	u32 epoch; /* 0: done */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct block_pending);
} block_pending SEC(".maps");

u32 vp_epoch; /* grows with each attachment */

static __always_inline u32 operation_of(struct request *rq)
{
	u32 op = rq->cmd_flags & REQ_OP_MASK;

	return op <= REQ_OP_DISCARD ? op : OTHER;
}

/* A merged request belongs to its first bio; a flush has no bio of its own: the
 * kernel makes one for all that wait for it. */
static __always_inline u32 owner(struct request *rq)
{
	struct bio *bio = rq->bio;
	struct blkcg_gq *blkg;

	if (!bio || !bpf_core_field_exists(bio->bi_blkg)) /* CONFIG_BLK_CGROUP */
		return VP_NODE;
	blkg = bio->bi_blkg;
	return blkg ? vp_css_slot(&blkg->blkcg->css) : VP_NODE;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(block_issue, struct request *rq)
{
	u64 all = on_block_latency | on_block_queue_latency | on_block_size | on_block_bytes | on_block_requests | on_block_errors;
	u64 key = (u64)rq;
	struct block_pending p = {};

	p.slot = owner(rq);
	if (!vp_on(p.slot, all))
		return 0;
	p.gen = vp_gen(p.slot);
	p.epoch = vp_epoch;
	p.operation = operation_of(rq);
	p.start = rq->start_time_ns;
	p.bytes = rq->__data_len;
	p.issued = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&block_pending, &key, &p, BPF_ANY))
		vp_fail();
	return 0;
}

/* The device gave it back (it was busy, or wants it again): it will be issued anew. */
SEC("tp_btf/block_rq_requeue")
int BPF_PROG(block_requeue, struct request *rq)
{
	u64 key = (u64)rq;

	bpf_map_delete_elem(&block_pending, &key);
	return 0;
}

/* The bound is checked where it is needed: 6.1 does not follow it through copies. */
static __always_inline void count(u32 slot, u64 on, u64 *cells, u32 op, u64 n)
{
	if (!vp_on(slot, on))
		return;
	barrier_var(op);
	if (op < OPERATIONS)
		__sync_fetch_and_add(cells + op, n);
}

/* Fires for each part of a request that the device completes; the last part is
 * all that was left of it. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_complete, struct request *rq, unsigned char error, unsigned int bytes)
{
	u64 key = (u64)rq;
	struct block_pending *p = bpf_map_lookup_elem(&block_pending, &key);
	struct block_cell *c;
	u32 slot, op;

	if (!p || p->epoch != vp_epoch || p->start != rq->start_time_ns)
		return 0;
	slot = p->gen == vp_gen(p->slot) ? p->slot : VP_REMAINDER;
	op = p->operation;
	c = bpf_map_lookup_elem(&block_cells, &slot);
	if (!c)
		return 0;
	if (error)
		count(slot, on_block_errors, c->block_errors, op, 1);
	else
		count(slot, on_block_bytes, c->block_bytes, op, bytes);
	if (bytes < rq->__data_len)
		return 0;
	count(slot, on_block_requests, c->block_requests, op, 1);
	if (vp_on(slot, on_block_latency))
		vp_observe(&block_latency, slot, op, OPERATIONS, bpf_ktime_get_ns() - p->issued);
	if (p->start && vp_on(slot, on_block_queue_latency)) /* none where the queue keeps no statistics */
		vp_observe(&block_queue_latency, slot, op, OPERATIONS, p->issued > p->start ? p->issued - p->start : 0);
	if (p->bytes && vp_on(slot, on_block_size))
		vp_observe_bytes(&block_size, slot, op, OPERATIONS, p->bytes);
	p->epoch = 0; /* whatever becomes of the deletion (EBUSY under an update, before 6.2) */
	bpf_map_delete_elem(&block_pending, &key);
	return 0;
}
