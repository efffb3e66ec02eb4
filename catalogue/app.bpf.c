//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Calls of functions and USDT probes of applications. One pair of programs serves all
 * places: the cookie of a place says which site it is. User space attaches a file
 * once, whoever runs it, and lists the (target, site) pairs that count. */
#include "vp.h"

const volatile u64 on_app_calls, on_app_latency;

#define APP_SITES 4096
#define APP_CELLS 1024
#define APP_PAIRS 8192
#define APP_TASKS 16384 /* threads and goroutines that are in a call */
#define APP_DEPTH 8	/* calls of probed functions within each other */

/* A cookie is the number of a site, and how its calls are told apart. */
#define APP_SITE(cookie) ((u32)(cookie) % APP_SITES)
#define APP_KIND(cookie) ((cookie) >> 32)
enum {
	APP_FUNCTION, /* a thread's: a return has the stack pointer of its call */
	APP_GO,	      /* a goroutine's, which changes threads, and whose stack is moved */
	APP_SPAN,     /* a thread's, from one place to another: not within itself */
	APP_COUNT,    /* has no end */
};

/* Hits of each site, whoever's they are: what the machine pays for. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APP_SITES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, u64);
} app_hits SEC(".maps");

/* How often a target's processes have executed another program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, u64);
} app_execs SEC(".maps");

/* (target, site) -> cell of (target, probe). Two files of two overlay file systems may
 * be one inode below, where each hit then runs the programs of both: that of the file
 * which the target was found to run is the one that counts. */
struct app_pair {
	u32 slot, site;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, APP_PAIRS);
	__type(key, struct app_pair);
	__type(value, u32);
} app_pairs SEC(".maps");

struct app_value {
	u64 calls;
	struct vp_hist latency;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APP_CELLS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct app_value);
} app_values SEC(".maps");

/* The calls that a thread or a goroutine is in, in no order: one that was left by an
 * exception has no end, and coroutines end in any. */
struct app_key {
	u64 who;
	u32 tgid, zero;
};
struct app_call {
	u64 began; /* 0: free */
	u64 frame;
	u32 cell, switched;
};
struct app_task {
	struct app_call calls[APP_DEPTH];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, APP_TASKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct app_key);
	__type(value, struct app_task);
} app_tasks SEC(".maps");

#define ON_X86 bpf_core_field_exists(struct pt_regs___x86, orig_ax)

/* A register of a hit. Offsets in the context of a uprobe are ABI (struct pt_regs of
 * arch/x86/include/uapi/asm/ptrace.h, user_pt_regs of arm64). Written out, since the
 * compiler would add one of two offsets to the context, which the verifier refuses. */
#define REGISTER(to, ctx, offset) asm volatile("%0 = *(u64 *)(%1 + " offset ")" : "=r"(to) : "r"(ctx))

static __always_inline u64 stack_of(void *ctx)
{
	u64 sp;

	if (ON_X86)
		REGISTER(sp, ctx, "152");
	else
		REGISTER(sp, ctx, "248");
	return sp;
}

/* Who is in a call, and its frame: how far from the top of the stack for Go, which
 * moves stacks. struct g begins with the stack's bounds (runtime/runtime2.go); its
 * address is in R14 (Go's internal ABI on amd64). */
static __always_inline bool caller(void *ctx, u64 kind, struct app_key *key, u64 *frame)
{
	u64 id = bpf_get_current_pid_tgid(), high;

	key->tgid = id >> 32;
	key->who = (u32)id;
	*frame = kind == APP_SPAN ? 0 : stack_of(ctx);
	if (kind != APP_GO)
		return true;
	if (!ON_X86)
		return false;
	REGISTER(key->who, ctx, "8"); /* r14 */
	if (bpf_probe_read_user(&high, sizeof(high), (void *)(key->who + sizeof(high))))
		return false;
	*frame -= high; /* below 0: deeper is smaller, as with addresses */
	return true;
}

/* The place for a new call: that of one at the same frame, which can only be over, else
 * a free one, else that of a deeper frame, which has been left without a return. */
static __always_inline struct app_call *place(struct app_task *s, u32 cell, u64 frame)
{
	struct app_call *same = NULL, *free = NULL, *over = NULL;

#pragma unroll
	for (int i = 0; i < APP_DEPTH; i++) {
		struct app_call *c = &s->calls[i];

		if (!c->began)
			free = c;
		else if (c->cell == cell && c->frame == frame)
			same = c;
		else if (frame && c->frame && (s64)(c->frame - frame) < 0)
			over = c;
	}
	return same ? same : free ? free : over;
}

static __always_inline void begin(void *ctx, u64 kind, u32 cell, u32 slot)
{
	struct app_task none = {}, *s;
	struct app_key key = {};
	struct app_call *c;
	u64 frame;

	if (!caller(ctx, kind, &key, &frame)) {
		vp_fail();
		return;
	}
	s = bpf_map_lookup_elem(&app_tasks, &key);
	if (!s) {
		bpf_map_update_elem(&app_tasks, &key, &none, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&app_tasks, &key);
	}
	c = s ? place(s, cell, frame) : NULL;
	if (!c) {
		vp_fail();
		return;
	}
	c->frame = frame;
	c->cell = cell;
	c->switched = vp_switched(slot);
	c->began = bpf_ktime_get_ns();
}

static __always_inline void observe(u32 cell, u64 ns)
{
	struct app_value *v = bpf_map_lookup_elem(&app_values, &cell);
	u32 b = vp_bucket_ns(ns);

	if (!v || b >= VP_BUCKETS)
		return;
	__sync_fetch_and_add(&v->latency.sum, ns);
	__sync_fetch_and_add(&v->latency.counts[b], 1);
}

static __always_inline void finish(void *ctx, u64 kind, u32 cell, u32 slot)
{
	u64 frame, began = 0, now = bpf_ktime_get_ns();
	struct app_key key = {};
	struct app_task *s;
	bool others = false;

	if (!caller(ctx, kind, &key, &frame))
		return;
	if (kind == APP_FUNCTION && ON_X86)
		frame -= sizeof(u64); /* the return has taken its address off the stack */
	s = bpf_map_lookup_elem(&app_tasks, &key);
	if (!s)
		return; /* it began before we were here */
#pragma unroll
	for (int i = 0; i < APP_DEPTH; i++) {
		struct app_call *c = &s->calls[i];

		if (!c->began)
			continue;
		if (c->cell != cell || c->frame != frame) {
			others = true;
			continue;
		}
		if (c->switched == vp_switched(slot))
			began = c->began;
		c->began = 0;
	}
	if (!others)
		bpf_map_delete_elem(&app_tasks, &key);
	if (began)
		observe(cell, now - began);
}

/* The cell of a hit, NULL where nobody wants it. A hit is a trap, some hundred times
 * this program: hits are counted ahead of the gate, so that too many can be told. */
static __always_inline u32 *wanted(u64 cookie, u32 *slot, u64 *on)
{
	struct app_pair pair = {};
	u64 *hits;

	pair.site = APP_SITE(cookie);
	hits = bpf_map_lookup_elem(&app_hits, &pair.site);
	if (hits)
		__sync_fetch_and_add(hits, 1);
	pair.slot = vp_task_slot(bpf_get_current_task_btf());
	*slot = pair.slot;
	*on = vp_on(pair.slot, on_app_calls | on_app_latency);
	return *on ? bpf_map_lookup_elem(&app_pairs, &pair) : NULL;
}

static __always_inline int enter(void *ctx)
{
	u64 on, cookie = bpf_get_attach_cookie(ctx);
	struct app_value *v;
	u32 slot, *cell = wanted(cookie, &slot, &on);

	if (!cell)
		return 0;
	v = bpf_map_lookup_elem(&app_values, cell);
	if (v && on & on_app_calls)
		__sync_fetch_and_add(&v->calls, 1);
	if (on & on_app_latency && APP_KIND(cookie) != APP_COUNT)
		begin(ctx, APP_KIND(cookie), *cell, slot);
	return 0;
}

static __always_inline int leave(void *ctx)
{
	u64 on, cookie = bpf_get_attach_cookie(ctx);
	u32 slot, *cell = wanted(cookie, &slot, &on);

	if (cell && on & on_app_latency)
		finish(ctx, APP_KIND(cookie), *cell, slot);
	return 0;
}

SEC("uprobe.multi")
int app_enter_multi(void *ctx)
{
	return enter(ctx);
}

SEC("uprobe.multi")
int app_leave_multi(void *ctx)
{
	return leave(ctx);
}

/* Before 6.6 (89ae89f53d20) each place is a perf event of its own. */
SEC("uprobe")
int app_enter(void *ctx)
{
	return enter(ctx);
}

SEC("uprobe")
int app_leave(void *ctx)
{
	return leave(ctx);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(app_exec, struct task_struct *p)
{
	u32 slot = vp_task_slot(p);
	u64 *n;

	if (!vp_on(slot, on_app_calls | on_app_latency))
		return 0;
	n = bpf_map_lookup_elem(&app_execs, &slot);
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}
