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
const volatile u64 on_block_device_latency, on_block_device_queue_latency, on_block_device_size, on_block_device_errors;

enum { READ, WRITE, FLUSH, DISCARD, OTHER, OPERATIONS };
VP_HISTOGRAM(block_latency);
VP_HISTOGRAM(block_queue_latency);
VP_HISTOGRAM(block_size);

/* By device, flushes and discards are other operations. */
enum { DEVICES = 16, DEVICE_OPERATIONS = 3, DEVICE_CELLS = DEVICES * DEVICE_OPERATIONS };
VP_HISTOGRAM(block_device_latency);
VP_HISTOGRAM(block_device_queue_latency);
VP_HISTOGRAM(block_device_size);

struct block_cell {
	u64 block_bytes[OPERATIONS], block_requests[OPERATIONS], block_errors[OPERATIONS];
	u64 block_device_errors[DEVICES];
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

/* The numbers of devices, from 1 on in the order in which they were met, by name: major
 * and minor are 0 for disks that are hidden behind another (NVMe multipath). 0 is all
 * for which there is no number. */
#define DISK_NAME 32
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DEVICES);
	__type(key, char[DISK_NAME]);
	__type(value, u32);
} block_devices SEC(".maps");
u32 vp_devices; /* numbers given */

static __always_inline struct gendisk *disk_of(struct request *rq)
{
	if (bpf_core_field_exists(rq->q->disk))
		return rq->q->disk;
	return BPF_CORE_READ((struct request___before_5_17 *)rq, rq_disk); /* f3fa33acca9f */
}

static __always_inline u32 device_of(struct request *rq)
{
	struct gendisk *disk = disk_of(rq);
	char name[DISK_NAME] = {};
	u32 *known, number;

	if (!disk || bpf_probe_read_kernel(name, sizeof(name), disk->disk_name))
		return 0;
	known = bpf_map_lookup_elem(&block_devices, name);
	if (known)
		return *known;
	if (vp_devices >= DEVICES - 1)
		return 0;
	number = __sync_fetch_and_add(&vp_devices, 1) + 1;
	if (number >= DEVICES)
		return 0;
	if (!bpf_map_update_elem(&block_devices, name, &number, BPF_NOEXIST))
		return number;
	known = bpf_map_lookup_elem(&block_devices, name); /* another CPU met it too */
	return known ? *known : 0;
}

static __always_inline u64 families(void)
{
	return on_block_latency | on_block_queue_latency | on_block_size | on_block_bytes | on_block_requests | on_block_errors |
	       on_block_device_latency | on_block_device_queue_latency | on_block_device_size | on_block_device_errors;
}

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
	u64 key = (u64)rq;
	struct block_pending p = {};

	p.slot = owner(rq);
	if (!vp_on(p.slot, families()))
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
static __always_inline void count(u64 *cells, u32 at, u32 size, u64 n)
{
	barrier_var(at);
	if (at < size)
		__sync_fetch_and_add(cells + at, n);
}

static __always_inline void done(struct request *rq, struct block_pending *p, u32 slot, u64 on)
{
	u64 took = bpf_ktime_get_ns() - p->issued, queued = p->issued > p->start ? p->issued - p->start : 0;
	u32 op = p->operation;

	if (on & on_block_latency)
		vp_observe(&block_latency, slot, op, OPERATIONS, took);
	if (p->start && on & on_block_queue_latency) /* none where the queue keeps no statistics */
		vp_observe(&block_queue_latency, slot, op, OPERATIONS, queued);
	if (p->bytes && on & on_block_size)
		vp_observe_bytes(&block_size, slot, op, OPERATIONS, p->bytes);
	if (!(on & (on_block_device_latency | on_block_device_queue_latency | on_block_device_size)))
		return;
	op = device_of(rq) * DEVICE_OPERATIONS + (op < FLUSH ? op : FLUSH);
	if (on & on_block_device_latency)
		vp_observe(&block_device_latency, slot, op, DEVICE_CELLS, took);
	if (p->start && on & on_block_device_queue_latency)
		vp_observe(&block_device_queue_latency, slot, op, DEVICE_CELLS, queued);
	if (p->bytes && on & on_block_device_size)
		vp_observe_bytes(&block_device_size, slot, op, DEVICE_CELLS, p->bytes);
}

/* Fires for each part of a request that the device completes; the last part is
 * all that was left of it. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_complete, struct request *rq, unsigned char error, unsigned int bytes)
{
	u64 key = (u64)rq, on;
	struct block_pending *p = bpf_map_lookup_elem(&block_pending, &key);
	struct block_cell *c;
	u32 slot;

	if (!p || p->epoch != vp_epoch || p->start != rq->start_time_ns)
		return 0;
	slot = p->gen == vp_gen(p->slot) ? p->slot : VP_REMAINDER;
	c = bpf_map_lookup_elem(&block_cells, &slot);
	if (!c)
		return 0;
	on = vp_on(slot, families());
	if (error && on & on_block_errors)
		count(c->block_errors, p->operation, OPERATIONS, 1);
	if (error && on & on_block_device_errors)
		count(c->block_device_errors, device_of(rq), DEVICES, 1);
	if (!error && on & on_block_bytes)
		count(c->block_bytes, p->operation, OPERATIONS, bytes);
	if (bytes < rq->__data_len)
		return 0;
	if (on & on_block_requests)
		count(c->block_requests, p->operation, OPERATIONS, 1);
	done(rq, p, slot, on);
	p->epoch = 0; /* whatever becomes of the deletion (EBUSY under an update, before 6.2) */
	bpf_map_delete_elem(&block_pending, &key);
	return 0;
}
