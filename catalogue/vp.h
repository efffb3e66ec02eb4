//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What every hook group shares: targets and their slots, the gate, cells and
 * histograms. The loader replaces the shared maps by one set for all objects. */
#ifndef VP_VP_H
#define VP_VP_H

#include "kernel.h"

char LICENSE[] SEC("license") = "GPL";

/* A slot is a target's number. Slot 0 is the remainder: whatever is in no
 * target; slot 1 is the node. */
#define VP_REMAINDER 0
#define VP_NODE 1
#define VP_FAMILIES 64

/* vp_cgroup: what the kernel side knows of a cgroup. Own slots begin `levels`
 * below it; 0: everything below belongs to its slot. */
struct vp_cgroup {
	u32 slot;
	u16 levels;
	u16 template; /* slot whose switches a new target copies */
};

/* vp_slot: the switches of one target. gen changes when the slot gets a new
 * owner, so that whoever cached the number can tell; switched changes before the
 * switches do, so that what began under others can be told. Of the families in
 * sampled, rate[bit] in 65,536 events count, taken at random. Families of objects
 * whose families are never sampled have their bits in whole. What every event reads is
 * in one cache line. */
struct vp_slot {
	u64 on;
	u32 gen;
	u32 switched;
	u64 sampled;
	u64 whole;
	u16 rate[VP_FAMILIES] __attribute__((aligned(64)));
};

/* Not 0 where no family of this object can be sampled: a constant to the verifier,
 * which leaves out what is not for it. */
const volatile u32 vp_whole = 0;

/* Families whose window is open: one word for all objects, which window.bpf.c
 * writes. The others' programs leave by it before anything else (VP_WINDOWED). */
u64 vp_open SEC(".data.vp") = ~0ULL;

/* The families of a program: the loader puts them in place of this number, so that
 * nothing has to be fetched from memory to know them. */
static __always_inline u64 vp_families(void)
{
	u64 mask;

	asm("%0 = 0x76705f66616d6c79 ll" : "=r"(mask));
	return mask;
}

/* BPF_PROG for a program of families that can be sampled: while no window of theirs is
 * open it leaves by one look at vp_open. What it does otherwise is a function of its own,
 * so that the way out saves no register and reads no argument. */
#define VP_WINDOWED(name, args...)                                              \
	name(unsigned long long *ctx);                                          \
	static __always_inline int ____##name(unsigned long long *ctx, ##args); \
	static __noinline int name##_open(unsigned long long *ctx)              \
	{                                                                       \
		_Pragma("GCC diagnostic push")                                  \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")          \
		return ____##name(___bpf_ctx_cast(args));                       \
		_Pragma("GCC diagnostic pop")                                   \
	}                                                                       \
	int name(unsigned long long *ctx)                                       \
	{                                                                       \
		return vp_open & vp_families() ? name##_open(ctx) : 0;          \
	}                                                                       \
	static __always_inline int ____##name(unsigned long long *ctx, ##args)

/* cgroup v2 id -> vp_cgroup */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct vp_cgroup);
} vp_cgroups SEC(".maps");

/* The slots of most cgroups without hashing: entry id % VP_DIRECT is the first's that
 * came there, until it goes; others are looked up in vp_cgroups. */
#define VP_DIRECT 16384
#define VP_TAKEN (~0ULL) /* no cgroup's id: the entry is being written */
struct vp_direct {
	u64 id, slot;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VP_DIRECT);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct vp_direct);
} vp_direct SEC(".maps");

/* cgroup v1 (hierarchy, id) -> slot: hybrid hosts, where block IO and memory are
 * charged to cgroups of other hierarchies, whose ids collide with those of v2 */
struct vp_cgroup1 {
	u64 id;
	u32 hierarchy, zero;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct vp_cgroup1);
	__type(value, u32);
} vp_cgroups1 SEC(".maps");

/* slot -> vp_slot; written by user space through mmap */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct vp_slot);
} vp_slots SEC(".maps");

/* Copies of each per-CPU cell: 1 + the highest possible CPU number. */
const volatile u32 vp_copies = 1;

/* What could not be counted: no memory, no room, storage busy. */
u64 vp_failed;

static __always_inline void vp_fail(void)
{
	__sync_fetch_and_add(&vp_failed, 1);
}

static __always_inline u32 vp_slot_of(u64 cgroup_id)
{
	u32 i = cgroup_id % VP_DIRECT;
	struct vp_direct *d = bpf_map_lookup_elem(&vp_direct, &i);
	struct vp_cgroup *c;

	if (d && d->id == cgroup_id)
		return d->slot;
	c = bpf_map_lookup_elem(&vp_cgroups, &cgroup_id);
	return c ? c->slot : VP_REMAINDER;
}

static __always_inline u32 vp_task_slot(struct task_struct *t)
{
	return vp_slot_of(t->cgroups->dfl_cgrp->kn->id);
}

/* The slot that a controller charges (bios, memory). A cgroup v1 has that of its
 * nearest listed ancestor, at most 7 levels up. What is charged to a root belongs
 * to the node unless user space says otherwise: it is the kernel's own, or no
 * controller told whose it is. */
#define VP_LEVELS 8
static __always_inline u32 vp_css_slot(struct cgroup_subsys_state *css)
{
	u32 slot = VP_REMAINDER, *found;
	struct vp_cgroup1 key = {};

	key.hierarchy = css->cgroup->root->hierarchy_id;
	if (!key.hierarchy) {
		slot = vp_slot_of(css->cgroup->kn->id);
		return slot == VP_REMAINDER && !css->parent ? VP_NODE : slot;
	}
#pragma unroll /* 6.1 takes this loop for endless */
	for (int i = 0; i < VP_LEVELS; i++) {
		key.id = css->cgroup->kn->id;
		found = bpf_map_lookup_elem(&vp_cgroups1, &key);
		if (found)
			return *found;
		css = css->parent;
		if (!css)
			return VP_NODE;
	}
	return slot;
}

/* The number of a mask's only bit: each multiple of this constant has other high
 * bits (de Bruijn). */
#define VP_DE_BRUIJN 0x03f79d71b4cb0a89ULL
const u8 vp_bit_of[64] = {
	0,  1,  48, 2,  57, 49, 28, 3,  61, 58, 50, 42, 38, 29, 17, 4,  62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
	63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,  13, 8,  7,  6,
};

/* Random numbers (splitmix64), a state and a cache line for each CPU, which user space
 * sets once. No helper does it: a call and its return cost more than all of this.
 * An interrupt may throw the same number again. */
#define VP_RANDOMS 256
struct {
	u64 state, pad[7];
} vp_randoms[VP_RANDOMS] SEC(".data.vp") __attribute__((aligned(64))) = {};

static __always_inline u64 vp_random(void)
{
	u64 *state = &vp_randoms[bpf_get_smp_processor_id() & (VP_RANDOMS - 1)].state;
	u64 x = *state + 0x9e3779b97f4a7c15ULL;

	*state = x;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x >> 33;
}

/* What is left of the families that an event is for, after those have been taken out
 * that are sampled and do not look at it. One throw decides for all. A function of its
 * own: inlined, it drives so much out of registers that 6.1 loses count of bounds. */
#define VP_SAMPLED 4 /* families of one program */
static __noinline __attribute__((unused)) u64 vp_thin(struct vp_slot *s, u64 on)
{
	u64 left = on & s->sampled, bit;
	u32 thrown = vp_random() & 0xffff;

#pragma unroll
	for (int i = 0; i < VP_SAMPLED; i++) {
		bit = left & -left;
		left ^= bit;
		if (thrown >= s->rate[vp_bit_of[(bit * VP_DE_BRUIJN) >> 58] & (VP_FAMILIES - 1)])
			on &= ~bit;
		if (!left)
			break;
	}
	return on & ~left;
}

/* The word of a slot's switches in which those of this object are. */
static __always_inline u64 vp_switches(struct vp_slot *s)
{
	return vp_whole ? s->whole : s->on;
}

/* The gate: the families of mask that look at this event of this slot. */
static __always_inline u64 vp_on(u32 slot, u64 mask)
{
	struct vp_slot *s = bpf_map_lookup_elem(&vp_slots, &slot);
	u64 on = s ? vp_switches(s) & mask : 0;

	if (vp_whole)
		return on;
	on &= vp_open;
	return on && on & s->sampled ? vp_thin(s, on) : on;
}

static __always_inline u32 vp_gen(u32 slot)
{
	struct vp_slot *s = bpf_map_lookup_elem(&vp_slots, &slot);

	return s ? s->gen : 0;
}

static __always_inline u32 vp_switched(u32 slot)
{
	struct vp_slot *s = bpf_map_lookup_elem(&vp_slots, &slot);

	return s ? s->switched : 0;
}

/* A histogram: native schema 2. 14 cache lines. */
#define VP_BUCKETS 111
struct vp_hist {
	u64 sum;
	u64 counts[VP_BUCKETS];
};

/* Histograms exist in chunks of 16 slots, made when one of them wants the family. */
#define VP_CHUNK_BITS 4
#define VP_CHUNK (1 << VP_CHUNK_BITS)
#define VP_HISTOGRAM(name)                                        \
	struct {                                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);         \
		__uint(max_entries, 1024 / VP_CHUNK);             \
		__type(key, u32);                                 \
		__array(values, struct {                          \
			__uint(type, BPF_MAP_TYPE_ARRAY);         \
			__uint(max_entries, VP_CHUNK);            \
			__uint(map_flags, BPF_F_MMAPABLE);        \
			__uint(key_size, sizeof(u32));            \
			__uint(value_size, sizeof(struct vp_hist)); \
		});                                               \
	} name SEC(".maps")

/* The index of the highest bit of x, which is not 0. */
static __always_inline u32 vp_log2(u64 x)
{
	u32 r = 0;

	if (x >> 32) { x >>= 32; r += 32; }
	if (x >> 16) { x >>= 16; r += 16; }
	if (x >> 8) { x >>= 8; r += 8; }
	if (x >> 4) { x >>= 4; r += 4; }
	if (x >> 2) { x >>= 2; r += 2; }
	return r + (x >> 1);
}

/* Bucket of x * 2^-point in schema 2: 0 up to 1, i for (2^((i-1)/4), 2^(i/4)].
 * The mantissa, 32 bits, is compared with 2^(1/4), 2^(1/2), 2^(3/4); an exact
 * power of two belongs to the bucket that it bounds. */
static __always_inline u32 vp_schema2(u64 x, u32 point)
{
	u32 e, m, i;

	if (x <= 1ULL << point)
		return 0;
	e = vp_log2(x);
	m = (x << (63 - e)) >> 32;
	i = (e - point) * 4 + (m >= 2553802834U) + (m >= 3037000500U) + (m >= 3611622603U) + !!(x & (x - 1));
	return i < VP_BUCKETS ? i : VP_BUCKETS - 1;
}

/* Nanoseconds to a bucket of seconds: 2^56 / 1e9 per ns puts 1 s at 2^56, and the
 * first bound, 2^-20 s, at 2^36. Beyond 250 s is overflow. */
static __always_inline u32 vp_bucket_ns(u64 ns)
{
	return ns < 250000000000ULL ? vp_schema2(ns * 72057594ULL, 36) : VP_BUCKETS - 1;
}

static __always_inline u32 vp_bucket_bytes(u64 n)
{
	return vp_schema2(n, 0);
}

/* The cell of (slot, label) in a histogram family; NULL where nobody wants it. */
static __always_inline struct vp_hist *vp_hist_cell(void *family, u32 slot, u32 label, u32 labels, u32 copies, u32 copy)
{
	u32 chunk = slot >> VP_CHUNK_BITS;
	u32 i = ((slot & (VP_CHUNK - 1)) * labels + label) * copies + copy;
	void *cells = bpf_map_lookup_elem(family, &chunk);

	return cells ? bpf_map_lookup_elem(cells, &i) : NULL;
}

/* Observe in a cell of this CPU: for hooks that cannot interrupt themselves. */
static __always_inline void vp_observe_cpu(void *family, u32 slot, u64 ns)
{
	struct vp_hist *h = vp_hist_cell(family, slot, 0, 1, vp_copies, bpf_get_smp_processor_id());
	u32 b = vp_bucket_ns(ns);

	if (!h || b >= VP_BUCKETS) {
		vp_fail();
		return;
	}
	h->sum += ns;
	h->counts[b]++;
}

/* Observe in the one cell of a family that is rare. */
static __always_inline void vp_observe(void *family, u32 slot, u32 label, u32 labels, u64 ns)
{
	struct vp_hist *h = vp_hist_cell(family, slot, label, labels, 1, 0);
	u32 b = vp_bucket_ns(ns);

	if (!h || b >= VP_BUCKETS) {
		vp_fail();
		return;
	}
	__sync_fetch_and_add(&h->sum, ns);
	__sync_fetch_and_add(&h->counts[b], 1);
}

/* The same for a number of bytes. */
static __always_inline void vp_observe_bytes(void *family, u32 slot, u32 label, u32 labels, u64 bytes)
{
	struct vp_hist *h = vp_hist_cell(family, slot, label, labels, 1, 0);
	u32 b = vp_bucket_bytes(bytes);

	if (!h || b >= VP_BUCKETS) {
		vp_fail();
		return;
	}
	__sync_fetch_and_add(&h->sum, bytes);
	__sync_fetch_and_add(&h->counts[b], 1);
}

#endif
