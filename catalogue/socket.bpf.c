//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel counts of each TCP socket anyway, folded into the socket's
 * target: sockets of every network namespace are tracked in storage made at
 * their state changes, read by a pass each tick and folded for the last time
 * when they close. Nothing happens per message. */
#include "vp.h"

#define IPPROTO_TCP 6
#define SOCK_DONE 1 /* include/net/sock.h: enum sock_flags; tcp_fin sets it */

/* include/net/tcp_states.h */
enum { ESTABLISHED = 1, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING };

const volatile u64 on_tcp_connect_latency, on_tcp_accepts, on_tcp_connects, on_tcp_connect_failures, on_tcp_closes, on_udp_drops;

VP_HISTOGRAM(tcp_connect_latency);

enum { IN, OUT };
/* Totals of a target; what follows srtt is set anew by each pass. */
struct socket_cell {
	u64 tcp_sent_bytes, tcp_received_bytes, tcp_acked_bytes, tcp_retransmits;
	u64 tcp_segments[2]; /* IN, OUT */
	u64 tcp_accepts, tcp_connects, tcp_connect_failures, tcp_closes, udp_drops;
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

/* What of a socket has been added already, and whose it is. A child inherits the
 * storage of its listener (BPF_F_CLONE), and so the listener's owner. */
struct socket_last {
	u64 sent, received, acked, started;
	u32 segs_in, segs_out, retrans;
	u32 slot, gen; /* owner, where it is not the cgroup that made the socket */
	u32 epoch;
	u32 mine, other, other_slot; /* passes in which a task of the owner, of another target held it */
	u32 srtt; /* us */
	bool owned, active, closed;
	bool settled; /* nothing came or went between two passes, and nothing was queued */
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_last);
} socket_lasts SEC(".maps");

u32 vp_epoch; /* grows with each attachment */
u32 vp_pass;  /* number of the last complete pass over descriptors */

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

/* A value that is read a little too low (two words are not read at once) is left
 * for the next fold. */
static __always_inline void fold64(u64 *cell, u64 *last, u64 now)
{
	u64 old = *last;

	if ((s64)(now - old) <= 0)
		return;
	old = __sync_lock_test_and_set(last, now);
	__sync_fetch_and_add(cell, now - old);
}

static __always_inline void fold32(u64 *cell, u32 *last, u32 now)
{
	u32 old = *last;

	if (old == now)
		return;
	old = __sync_lock_test_and_set(last, now);
	__sync_fetch_and_add(cell, (u64)(u32)(now - old));
}

/* What was received without the FIN, which the kernel counts a little before it sets
 * the flag: the flag is looked at when all else is done. A FIN that came meanwhile
 * makes it a byte too low, which the next fold makes good. */
static __always_inline u64 payload(struct sock *sk, u64 received)
{
	return received && sk->__sk_common.skc_flags & (1UL << SOCK_DONE) ? received - 1 : received;
}

static __always_inline void fold(struct sock *sk, struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	struct socket_cell *c = bpf_map_lookup_elem(&socket_cells, &slot);
	struct counts n = read_counts(tp, l);

	if (!c)
		return;
	fold64(&c->tcp_sent_bytes, &l->sent, n.sent);
	fold64(&c->tcp_acked_bytes, &l->acked, n.acked);
	fold32(&c->tcp_segments[IN], &l->segs_in, n.segs_in);
	fold32(&c->tcp_segments[OUT], &l->segs_out, n.segs_out);
	fold32(&c->tcp_retransmits, &l->retrans, n.retrans);
	fold64(&c->tcp_received_bytes, &l->received, payload(sk, n.received));
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
	l->closed = l->settled = false;
	l->epoch = vp_epoch;
}

/* A child has its listener's storage: it begins from 0, whatever came with the
 * handshake. */
static __always_inline void begin(struct socket_last *l, bool active)
{
	l->active = active;
	l->sent = l->received = l->acked = 0;
	l->segs_in = l->segs_out = l->retrans = 0;
	l->closed = l->settled = false;
	l->epoch = vp_epoch;
}

static __always_inline void count(u32 slot, u64 on, u64 *(*member)(struct socket_cell *))
{
	struct socket_cell *c;

	if (!vp_on(slot, on))
		return;
	c = bpf_map_lookup_elem(&socket_cells, &slot);
	if (c)
		__sync_fetch_and_add(member(c), 1);
}

#define MEMBER(name)                                                        \
	static __always_inline u64 *name##_of(struct socket_cell *c)        \
	{                                                                   \
		return &c->name;                                            \
	}
MEMBER(tcp_accepts)
MEMBER(tcp_connects)
MEMBER(tcp_connect_failures)
MEMBER(tcp_closes)
MEMBER(udp_drops)

/* The storage of a socket, made where there is none. When two CPUs make it at once
 * one of them gets nothing, and finds it at the second look. */
static __always_inline struct socket_last *track(void *sk)
{
	struct socket_last *l = bpf_sk_storage_get(&socket_lasts, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!l)
		l = bpf_sk_storage_get(&socket_lasts, sk, 0, 0);
	if (!l)
		vp_fail();
	return l;
}

/* connect and listen run in their caller: the socket is the caller's, whoever made
 * it. */
static __always_inline void claim(struct sock *sk, struct socket_last *l)
{
	u32 slot = vp_task_slot(bpf_get_current_task_btf());

	l->owned = false;
	if (slot != vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id))
		give(l, slot);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, struct sock *sk, int from, int to)
{
	struct socket_last *l;
	struct tcp_sock *tp;
	u32 slot;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	l = to == CLOSE ? bpf_sk_storage_get(&socket_lasts, sk, 0, 0) : track(sk);
	if (!l)
		return 0;
	switch (to) {
	case SYN_SENT:
		l->active = true;
		baseline(sk, tp, l);
		claim(sk, l);
		l->started = bpf_ktime_get_ns();
		break;
	case LISTEN:
		l->active = false;
		baseline(sk, tp, l);
		claim(sk, l);
		break;
	case SYN_RECV:
		begin(l, from == SYN_SENT);
		break;
	case ESTABLISHED:
		if (l->epoch != vp_epoch) /* its listener was not known */
			begin(l, from == SYN_SENT);
		slot = owner(sk, l);
		if (from == SYN_RECV) {
			count(slot, on_tcp_accepts, tcp_accepts_of);
		} else if (from == SYN_SENT) {
			count(slot, on_tcp_connects, tcp_connects_of);
			if (l->started && vp_on(slot, on_tcp_connect_latency))
				vp_observe(&tcp_connect_latency, slot, 0, 1, bpf_ktime_get_ns() - l->started);
		}
		break;
	case CLOSE:
		if (l->epoch != vp_epoch)
			break;
		slot = owner(sk, l);
		if (from == SYN_SENT)
			count(slot, on_tcp_connect_failures, tcp_connect_failures_of);
		else if (from != LISTEN && from != SYN_RECV)
			count(slot, on_tcp_closes, tcp_closes_of);
		fold(sk, tp, l, slot);
		l->closed = true; /* tcp_disconnect may zero the counters after this */
		break;
	}
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_destroy, struct sock *sk)
{
	struct socket_last *l = bpf_sk_storage_get(&socket_lasts, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (l && tp && !l->closed && l->epoch == vp_epoch)
		fold(sk, tp, l, owner(sk, l));
	return 0;
}

static __always_inline u32 kind_of(u8 state)
{
	switch (state) {
	case ESTABLISHED:
		return 0;
	case SYN_SENT:
	case SYN_RECV:
		return 1;
	case CLOSE_WAIT:
		return 3;
	case LISTEN:
		return 4;
	}
	return 2;
}

static __always_inline void gauges(struct sock *sk, struct socket_last *l, struct socket_cell *c)
{
	u8 state = sk->__sk_common.skc_state;

	__sync_fetch_and_add(&c->tcp_connections[kind_of(state)], 1);
	if (state == LISTEN) {
		__sync_fetch_and_add(&c->tcp_listen_backlog, sk->sk_ack_backlog);
		__sync_fetch_and_add(&c->tcp_listen_backlog_limit, sk->sk_max_ack_backlog);
	} else if (state == ESTABLISHED) {
		__sync_fetch_and_add(&c->srtt, (u64)l->srtt * 1000);
		__sync_fetch_and_add(&c->established, 1);
	}
}

/* A listener has no queues of bytes: its sequence numbers mean nothing. */
static __always_inline bool queues(struct sock *sk, struct tcp_sock *tp, struct socket_cell *c)
{
	u32 unread, unacked;

	if (sk->__sk_common.skc_state == LISTEN)
		return true;
	unread = tp->rcv_nxt - tp->copied_seq;
	if (unread && sk->__sk_common.skc_flags & (1UL << SOCK_DONE))
		unread--;
	unacked = tp->write_seq - tp->snd_una;
	__sync_fetch_and_add(&c->tcp_receive_queue_bytes, unread);
	__sync_fetch_and_add(&c->tcp_send_queue_bytes, unacked);
	return !unread && !unacked;
}

/* Between passes over descriptors a socket may have been handed to another target
 * (a descriptor passed on, a process that moved): once no task of its owner holds
 * it any more, it is the holder's from here on. */
static __always_inline u32 settle(struct sock *sk, struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	if (l->other == vp_pass && l->mine != vp_pass && vp_pass) {
		fold(sk, tp, l, slot);
		give(l, l->other_slot);
		l->mine = vp_pass;
		return l->other_slot;
	}
	return slot;
}

/* Where no segment came or went nothing has changed. The kernel counts a segment a
 * little before its bytes, so it must have been so for two passes. */
static __always_inline bool still(struct tcp_sock *tp, struct socket_last *l)
{
	return l->segs_in == tp->segs_in && l->segs_out == tp->segs_out;
}

SEC("iter/bpf_sk_storage_map")
int socket_tick(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct socket_last *l = ctx->value;
	struct sock *sk = ctx->sk;
	struct socket_cell *c;
	struct tcp_sock *tp;
	bool was_still;
	u32 slot;

	if (!sk || !l || l->closed || l->epoch != vp_epoch)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	slot = settle(sk, tp, l, owner(sk, l));
	c = bpf_map_lookup_elem(&socket_cells, &slot);
	if (!c)
		return 0;
	was_still = still(tp, l);
	if (!was_still || !l->settled) {
		l->srtt = tp->srtt_us >> 3;
		fold(sk, tp, l, slot);
		l->settled = queues(sk, tp, c) && was_still;
	}
	gauges(sk, l, c);
	return 0;
}

/* A pass over the descriptors of all tasks, at the start and now and then: finds
 * sockets that are older than we, and who holds each socket. vp_passing is the
 * number of the pass that runs. */
u32 vp_passing;

SEC("iter/task_file")
int socket_pass(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	struct socket_last *l;
	struct tcp_sock *tp;
	struct socket *s;
	struct sock *sk;
	u32 slot;

	if (!t || !file)
		return 0;
	s = bpf_sock_from_file(file);
	if (!s)
		return 0;
	sk = s->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || sk->__sk_common.skc_state == CLOSE)
		return 0;
	l = track(tp);
	if (!l)
		return 0;
	if (l->epoch != vp_epoch)
		baseline(sk, tp, l);
	slot = vp_task_slot(t);
	if (slot == owner(sk, l)) {
		l->mine = vp_passing;
	} else {
		l->other = vp_passing;
		l->other_slot = slot;
	}
	return 0;
}

/* Only where a datagram is dropped. Before 6.3 the tracepoint has no skb. */
SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(socket_udp_drop, int rc, struct sock *sk)
{
	count(vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id), on_udp_drops, udp_drops_of);
	return 0;
}
