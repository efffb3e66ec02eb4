//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Windows: families that look at all events of a share of the time. A timer of the
 * kernel opens and closes them, so that nobody has to wake up for it, and how busy
 * the machine is hardly matters. It ends with the process that holds this object.
 *
 * Time is cut into periods. In each, all windows open at one moment chosen at random,
 * and go on at the period's beginning where its end cuts them off: each instant is in
 * a window with the same probability, whatever rhythm the load has. They are nested,
 * so that hooks of several families are closed for as long as can be. */
#include "vp.h"

#define STEPS 8

/* What user space wants. It is changed only while window_stop was the last to run. */
struct window_step {
	u64 mask;   /* families; 0: not in use */
	u64 length; /* ns */
};
struct window_step vp_steps[STEPS];
u64 vp_always; /* families without a window */
u64 vp_period; /* ns, below 2^32 */
u64 vp_idle;   /* what window_stop leaves open */

/* What was. turn is odd while it changes. */
u32 vp_turn;
u64 vp_looked;       /* when it was last brought up to date */
u64 vp_elapsed;      /* ns until then ... */
u64 vp_opened[STEPS]; /* ... and how long of it each step was open */

u64 vp_begin, vp_start; /* of the period at hand; of its windows, after that */

struct window_timer {
	struct bpf_timer timer;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct window_timer);
} window_timers SEC(".maps");

/* Later than this is soon enough for the next change. */
#define LEAST 20000

static __always_inline void account(u64 now)
{
	u64 open = vp_open, took = now - vp_looked;

	__sync_fetch_and_add(&vp_turn, 1);
#pragma unroll
	for (int i = 0; i < STEPS; i++)
		if (vp_steps[i].mask & open)
			vp_opened[i] += took;
	vp_elapsed += took;
	vp_looked = now;
	__sync_fetch_and_add(&vp_turn, 1);
}

static __always_inline u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* Sets the windows to what they are now; how long nothing will change. */
static __always_inline u64 look(u64 now)
{
	u64 period = vp_period, open = vp_always, next, phase;

	if (now - vp_begin >= period) {
		vp_begin = now - vp_begin < 2 * period ? vp_begin + period : now;
		vp_start = bpf_get_prandom_u32() % period;
	}
	next = vp_begin + period - now;
	phase = (now - vp_begin + period - vp_start) % period;
#pragma unroll
	for (int i = 0; i < STEPS; i++) {
		if (!vp_steps[i].mask)
			continue;
		if (phase < vp_steps[i].length) {
			open |= vp_steps[i].mask;
			next = earlier(next, vp_steps[i].length - phase);
		} else {
			next = earlier(next, period - phase);
		}
	}
	vp_open = open;
	return next > LEAST ? next : LEAST;
}

static int fire(void *map, u32 *key, struct window_timer *w)
{
	u64 now = bpf_ktime_get_ns();

	account(now);
	bpf_timer_start(&w->timer, look(now), 0);
	return 0;
}

SEC("syscall")
int window_start(void *ctx)
{
	u32 zero = 0;
	struct window_timer *w = bpf_map_lookup_elem(&window_timers, &zero);
	u64 now = bpf_ktime_get_ns();

	if (!w)
		return 1;
	bpf_timer_init(&w->timer, &window_timers, 1 /* CLOCK_MONOTONIC */); /* EBUSY where it was done */
	bpf_timer_set_callback(&w->timer, fire);
	vp_looked = now;
	vp_begin = now - vp_period; /* a new one begins */
	bpf_timer_start(&w->timer, look(now), 0);
	return 0;
}

SEC("syscall")
int window_stop(void *ctx)
{
	u32 zero = 0;
	struct window_timer *w = bpf_map_lookup_elem(&window_timers, &zero);

	if (!w)
		return 1;
	bpf_timer_cancel(&w->timer); /* waits for one that fires */
	account(bpf_ktime_get_ns());
	vp_open = vp_idle;
	return 0;
}
