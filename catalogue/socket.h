//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What the socket group keeps of each socket, and how what the kernel counts of it
 * is folded into the cell of its target. */
#ifndef VP_SOCKET_H
#define VP_SOCKET_H

#include "tcp.h"
#include "flow.h"

#define SOCK_DONE 1 /* include/net/sock.h: enum sock_flags; tcp_fin sets it */

const volatile u64 vp_jiffy_ns;

enum { IN, OUT };
/* Totals of a target; what follows srtt is set anew by each pass. */
struct socket_cell {
	u64 tcp_sent_bytes, tcp_received_bytes, tcp_acked_bytes, tcp_retransmits;
	u64 tcp_segments[2]; /* IN, OUT */
	u64 tcp_send_busy_time, tcp_send_limited_time[2]; /* by the peer's window, by our buffer */
	u64 tcp_accepts, tcp_connects, tcp_connect_failures, tcp_closes, tcp_listen_drops, udp_drops;
	u64 srtt, established;    /* sum of ns over established connections, and their number */
	u64 tcp_connections[5];   /* established, opening, closing, close_wait, listen */
	u64 tcp_send_queue_bytes, tcp_receive_queue_bytes;
	u64 tcp_listen_backlog, tcp_listen_backlog_limit;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct socket_cell);
} socket_cells SEC(".maps");

u32 vp_map; /* grows when user space changes whose a cgroup is */

/* include/linux/tcp.h: enum tcp_chrono, what a sender does; its first counts for nothing */
enum { BUSY, RECEIVE_WINDOW, SEND_BUFFER, CHRONOS };

/* What of a socket has been added already, and whose it is. A child inherits the
 * storage of its listener (BPF_F_CLONE), and so the listener's owner. The first cache
 * line is all that a pass needs of a socket which rests. */
struct socket_last {
	u32 segs_in, segs_out;
	u32 epoch, map;
	u32 at, at_gen;  /* whose it was in the last pass */
	u32 mine, other; /* passes in which a task of the owner, of another target held it */
	u32 srtt;	 /* us */
	u8 state;	 /* in the last pass */
	bool settled;	 /* nothing came or went between two passes, and nothing was queued */
	bool owned, active, closed;
	u64 sent, received, acked, started;
	u64 established; /* when; 0: before we were */
	u32 retrans, drops;
	u32 chrono[CHRONOS]; /* jiffies */
	u32 slot, gen; /* owner, where it is not the cgroup that made the socket */
	u32 other_slot;
	struct flow_ref flow;
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_last);
} socket_lasts SEC(".maps");

/* An MPTCP listener (what Go's net.Listen makes since 1.24) is two sockets: descriptors
 * lead to one, the queue is at the other, its first subflow, which alone changes state
 * where we see it. So what a pass learns of the one is left here for the other, by the
 * subflow's address. Where the subflow is not here, it has no storage: it is older
 * than we, and the first has storage in its place. */
struct subflow {
	u32 epoch, slot;
	u32 mine, other, other_slot; /* as in socket_last */
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct subflow);
} socket_subflows SEC(".maps");

/* Kernels without MPTCP have neither. */
static __always_inline bool is_subflow(struct tcp_sock *tp)
{
	return bpf_core_field_exists(tp->is_mptcp) && tp->is_mptcp;
}

static __always_inline struct sock *first_subflow(struct sock *sk)
{
	struct mptcp_sock *m = (struct mptcp_sock *)sk;

	return bpf_core_field_exists(m->first) ? BPF_CORE_READ(m, first) : NULL;
}

static __always_inline u32 owner(struct sock *sk, struct socket_last *l)
{
	if (l && l->owned && l->gen == vp_gen(l->slot))
		return l->slot;
	return vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id);
}

static __always_inline void give(struct socket_last *l, u32 slot)
{
	l->slot = slot;
	l->gen = vp_gen(slot);
	l->owned = true;
	l->settled = false;
}

struct counts {
	u64 sent, received, acked;
	u32 segs_in, segs_out, retrans;
};

/* Payload bytes. bytes_sent counts again what was retransmitted; bytes_received
 * counts the peer's FIN once it was taken in, bytes_acked the SYN that we sent and
 * our FIN (net/ipv4/tcp_input.c): what was acknowledged is never more than what
 * was sent. */
static __always_inline struct counts read_counts(struct tcp_sock *tp, struct socket_last *l)
{
	struct counts c;
	u64 acked;

	c.segs_in = tp->segs_in; /* first: see socket_tick */
	c.segs_out = tp->segs_out;
	acked = tp->bytes_acked;
	c.sent = tp->bytes_sent - tp->bytes_retrans;
	c.received = tp->bytes_received; /* less the FIN: see payload */
	if (acked && l->active)
		acked--;
	c.acked = acked < c.sent ? acked : c.sent;
	c.retrans = tp->total_retrans;
	return c;
}

/* The last fold of a connection may meet the tick's on another CPU. So a fold stands
 * only where nobody folded since it looked, and the last one is exact and final: it
 * takes back what was read too high (see payload), and marks bytes as SEALED, in which
 * nothing counts before baseline or begin. Each gives what it has added to the cell. */
#define SEALED (1ULL << 63)

static __always_inline u64 seal64(u64 *cell, u64 *last, u64 now)
{
	u64 old = __sync_lock_test_and_set(last, now | SEALED);

	if (old & SEALED)
		return 0;
	__sync_fetch_and_add(cell, now - old);
	return now - old;
}

/* A value that is read a little too low (two words are not read at once) is left
 * for the next fold. */
static __always_inline u64 fold64(u64 *cell, u64 *last, u64 now)
{
	u64 old = *last;

	if (old & SEALED || (s64)(now - old) <= 0 || __sync_val_compare_and_swap(last, old, now) != old)
		return 0;
	__sync_fetch_and_add(cell, now - old);
	return now - old;
}

static __always_inline u32 fold32(u64 *cell, u32 *last, u32 now)
{
	u32 old = *last;

	if (old == now || __sync_val_compare_and_swap(last, old, now) != old)
		return 0;
	__sync_fetch_and_add(cell, (u64)(u32)(now - old));
	return now - old;
}

/* Time spent in a state counts in jiffies, and goes on while the state lasts. A value
 * that is read a little too low is left for the next fold here too. */
static __always_inline u64 passed(u32 *last, u32 now)
{
	u32 old = *last;

	if ((s32)(now - old) <= 0 || __sync_val_compare_and_swap(last, old, now) != old)
		return 0;
	return (s64)(s32)(now - old) * vp_jiffy_ns;
}

static __always_inline u32 chrono(struct tcp_sock *tp, u32 kind)
{
	u32 jiffies = tp->chrono_stat[kind];

	if (BPF_CORE_READ_BITFIELD(tp, chrono_type) == kind + 1)
		jiffies += (u32)bpf_jiffies64() - tp->chrono_start;
	return jiffies;
}

/* A sender is in one state at a time; in each of these it is busy. */
static __always_inline void fold_chronos(struct tcp_sock *tp, struct socket_last *l, struct socket_cell *c)
{
	u64 busy = passed(&l->chrono[BUSY], chrono(tp, BUSY));
	u64 window = passed(&l->chrono[RECEIVE_WINDOW], chrono(tp, RECEIVE_WINDOW));
	u64 buffer = passed(&l->chrono[SEND_BUFFER], chrono(tp, SEND_BUFFER));

	if (!(busy | window | buffer))
		return;
	__sync_fetch_and_add(&c->tcp_send_busy_time, busy + window + buffer);
	__sync_fetch_and_add(&c->tcp_send_limited_time[0], window);
	__sync_fetch_and_add(&c->tcp_send_limited_time[1], buffer);
}

/* What was received without the FIN, which the kernel counts a little before it sets
 * the flag: the flag is looked at when all else is done. A FIN that came meanwhile
 * makes it a byte too low, which the next fold makes good, or, where the flag is not
 * set yet, too high, which the last fold takes back. */
static __always_inline u64 payload(struct sock *sk, u64 received)
{
	return received && sk->__sk_common.skc_flags & (1UL << SOCK_DONE) ? received - 1 : received;
}

static __always_inline void fold_rest(struct tcp_sock *tp, struct socket_last *l, struct socket_cell *c, struct counts *n, struct flow_counts *flow)
{
	fold32(&c->tcp_segments[IN], &l->segs_in, n->segs_in);
	fold32(&c->tcp_segments[OUT], &l->segs_out, n->segs_out);
	flow->retransmits = fold32(&c->tcp_retransmits, &l->retrans, n->retrans);
	if (l->active && l->started)
		flow->connect_time = l->established - l->started;
	fold_chronos(tp, l, c);
}

static __always_inline void fold(struct sock *sk, struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	struct socket_cell *c = bpf_map_lookup_elem(&socket_cells, &slot);
	struct counts n = read_counts(tp, l);
	struct flow_counts flow = {};

	if (!c)
		return;
	flow.sent = fold64(&c->tcp_sent_bytes, &l->sent, n.sent);
	fold64(&c->tcp_acked_bytes, &l->acked, n.acked);
	fold_rest(tp, l, c, &n, &flow);
	flow.received = fold64(&c->tcp_received_bytes, &l->received, payload(sk, n.received));
	flow_fold(sk, tp, &l->flow, slot, &flow);
}

/* The last fold. The socket is locked: nothing changes meanwhile. */
static __always_inline void seal(struct sock *sk, struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	struct socket_cell *c = bpf_map_lookup_elem(&socket_cells, &slot);
	struct counts n = read_counts(tp, l);
	struct flow_counts flow = {};

	l->closed = true; /* tcp_disconnect may zero the counters after this */
	if (!c)
		return;
	flow.sent = seal64(&c->tcp_sent_bytes, &l->sent, n.sent);
	seal64(&c->tcp_acked_bytes, &l->acked, n.acked);
	fold_rest(tp, l, c, &n, &flow);
	flow.received = seal64(&c->tcp_received_bytes, &l->received, payload(sk, n.received));
	flow_fold(sk, tp, &l->flow, slot, &flow);
}

/* Take what the socket has counted so far as the start. */
static __always_inline void baseline(struct sock *sk, struct tcp_sock *tp, struct socket_last *l)
{
	struct counts n = read_counts(tp, l);

	l->sent = n.sent;
	l->received = payload(sk, n.received);
	l->acked = n.acked;
	l->segs_in = n.segs_in;
	l->segs_out = n.segs_out;
	l->retrans = n.retrans;
	l->drops = sk->sk_drops.counter;
	l->chrono[BUSY] = chrono(tp, BUSY);
	l->chrono[RECEIVE_WINDOW] = chrono(tp, RECEIVE_WINDOW);
	l->chrono[SEND_BUFFER] = chrono(tp, SEND_BUFFER);
	l->established = 0;
	l->closed = l->settled = false;
	__builtin_memset(&l->flow, 0, sizeof(l->flow));
	l->epoch = vp_epoch;
}

/* A child has its listener's storage: it begins from 0, whatever came with the
 * handshake. */
static __always_inline void begin(struct socket_last *l, bool active)
{
	l->active = active;
	l->sent = l->received = l->acked = 0;
	l->segs_in = l->segs_out = l->retrans = l->drops = 0;
	l->chrono[BUSY] = l->chrono[RECEIVE_WINDOW] = l->chrono[SEND_BUFFER] = 0;
	l->established = 0;
	l->closed = l->settled = false;
	__builtin_memset(&l->flow, 0, sizeof(l->flow));
	l->flow.side = active ? FLOW_CLIENT : FLOW_SERVER;
	l->epoch = vp_epoch;
}

#endif
