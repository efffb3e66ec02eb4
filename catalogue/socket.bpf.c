//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel counts of each TCP socket anyway, folded into the socket's
 * target: sockets of every network namespace are tracked in storage made at
 * their state changes, read by a pass each tick and folded for the last time
 * when they close. Nothing happens per message. */
#include "socket.h"

const volatile u64 on_tcp_connect_latency, on_tcp_accepts, on_tcp_connects, on_tcp_connect_failures, on_tcp_closes, on_tcp_lifetime, on_tcp_rtt, on_udp_drops;

VP_HISTOGRAM(tcp_connect_latency);
VP_HISTOGRAM(tcp_lifetime);
VP_HISTOGRAM(tcp_rtt);

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

	l->owned = l->settled = false;
	if (slot != vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id))
		give(l, slot);
}

/* The latest round trip where the kernel has timed one, else the smoothed one (that of
 * the handshake): one observation for a connection to which something came. */
static __always_inline void observe_rtt(struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	u64 us;

	if (l->segs_in == tp->segs_in || !vp_on(slot, on_tcp_rtt))
		return;
	us = tp->rack.rtt_us;
	if (!us)
		us = tp->srtt_us >> 3;
	if (us)
		vp_observe(&tcp_rtt, slot, 0, 1, us * 1000);
}

/* An established connection has ended. */
static __always_inline void ended(struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	count(slot, on_tcp_closes, tcp_closes_of);
	if (l->established && vp_on(slot, on_tcp_lifetime))
		vp_observe(&tcp_lifetime, slot, 0, 1, bpf_ktime_get_ns() - l->established);
	observe_rtt(tp, l, slot);
}

static __always_inline void listen_drops(struct sock *sk, struct socket_last *l, u32 slot)
{
	struct socket_cell *c = bpf_map_lookup_elem(&socket_cells, &slot);

	if (c)
		fold32(&c->tcp_listen_drops, &l->drops, sk->sk_drops.counter);
}

static __always_inline void enter_subflow(struct tcp_sock *tp, u32 slot)
{
	struct subflow s = { .epoch = vp_epoch, .slot = slot };
	u64 address = (u64)tp;

	if (bpf_map_update_elem(&socket_subflows, &address, &s, BPF_ANY))
		vp_fail();
}

static __always_inline void leave_subflow(struct tcp_sock *tp)
{
	u64 address = (u64)tp;

	bpf_map_delete_elem(&socket_subflows, &address);
}

static __always_inline bool shuts(int state)
{
	return (state >= FIN_WAIT1 && state <= TIME_WAIT) || state == CLOSE_WAIT || state == LAST_ACK || state == CLOSING;
}

static __noinline int changed(struct sock *sk, int from, int to)
{
	struct socket_last *l;
	struct tcp_sock *tp;
	u32 slot;

	if (sk->sk_protocol != IPPROTO_TCP || shuts(to)) /* the steps of a shutdown say nothing here */
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	if (from == LISTEN && to == CLOSE) {
		flow_unlistens(sk);
		if (is_subflow(tp))
			leave_subflow(tp);
	}
	l = to == CLOSE ? bpf_sk_storage_get(&socket_lasts, sk, 0, 0) : track(sk);
	if (!l)
		return 0;
	switch (to) {
	case SYN_SENT:
		l->active = true;
		baseline(sk, tp, l);
		claim(sk, l);
		l->flow.side = FLOW_CLIENT;
		l->started = bpf_ktime_get_ns();
		break;
	case LISTEN:
		l->active = false;
		baseline(sk, tp, l);
		claim(sk, l);
		if (is_subflow(tp))
			enter_subflow(tp, owner(sk, l));
		break;
	case SYN_RECV:
		begin(l, from == SYN_SENT);
		break;
	case ESTABLISHED:
		if (l->epoch != vp_epoch) /* its listener was not known */
			begin(l, from == SYN_SENT);
		slot = owner(sk, l);
		l->established = bpf_ktime_get_ns();
		l->flow.fresh = 1;
		flow_meet(sk, tp, &l->flow, slot, true);
		if (from == SYN_RECV) {
			count(slot, on_tcp_accepts, tcp_accepts_of);
		} else if (from == SYN_SENT) {
			count(slot, on_tcp_connects, tcp_connects_of);
			if (l->started && vp_on(slot, on_tcp_connect_latency))
				vp_observe(&tcp_connect_latency, slot, 0, 1, l->established - l->started);
		}
		break;
	case CLOSE:
		if (l->epoch != vp_epoch)
			break;
		slot = owner(sk, l);
		if (from == SYN_SENT) {
			count(slot, on_tcp_connect_failures, tcp_connect_failures_of);
			flow_failed(sk, tp, &l->flow, slot);
		} else if (from == LISTEN) {
			listen_drops(sk, l, slot);
		} else if (from != SYN_RECV) {
			ended(tp, l, slot);
			flow_meet(sk, tp, &l->flow, slot, false);
		}
		seal(sk, tp, l, slot);
		if (from != LISTEN)
			flow_part(sk, tp, &l->flow);
		break;
	}
	return 0;
}

/* The kernel skips a program that was interrupted by itself. A process changes states
 * with interrupts on, so a segment that comes in just then may change another socket's
 * on the same CPU. The first program says that it is at work; the second sees each
 * change once more, and takes those that the first was kept from. Nothing interrupts
 * the second there. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} socket_at_work SEC(".maps");
u64 retaken_socket_state;

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, struct sock *sk, int from, int to)
{
	u32 zero = 0;
	volatile u64 *at_work = bpf_map_lookup_elem(&socket_at_work, &zero);

	if (!at_work)
		return 0;
	*at_work = 1;
	changed(sk, from, to);
	*at_work = 0;
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state_again, struct sock *sk, int from, int to)
{
	u32 zero = 0;
	volatile u64 *at_work = bpf_map_lookup_elem(&socket_at_work, &zero);

	if (!at_work || !*at_work)
		return 0;
	__sync_fetch_and_add(&retaken_socket_state, 1);
	return changed(sk, from, to);
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_destroy, struct sock *sk)
{
	struct socket_last *l = bpf_sk_storage_get(&socket_lasts, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (l && tp && !l->closed && l->epoch == vp_epoch)
		seal(sk, tp, l, owner(sk, l));
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

/* Only passes set these, and passes do not overlap: no atomic adds. */
static __always_inline void gauges(struct sock *sk, struct socket_last *l, struct socket_cell *c)
{
	u8 state = sk->__sk_common.skc_state;

	c->tcp_connections[kind_of(state)]++;
	if (state == LISTEN) {
		fold32(&c->tcp_listen_drops, &l->drops, sk->sk_drops.counter);
		c->tcp_listen_backlog += sk->sk_ack_backlog;
		c->tcp_listen_backlog_limit += sk->sk_max_ack_backlog;
	} else if (state == ESTABLISHED) {
		c->srtt += (u64)l->srtt * 1000;
		c->established++;
	}
}

/* Open at our end. */
static __always_inline bool connected(struct sock *sk)
{
	u8 state = sk->__sk_common.skc_state;

	return state == ESTABLISHED || state == CLOSE_WAIT;
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
	c->tcp_receive_queue_bytes += unread;
	c->tcp_send_queue_bytes += unacked;
	return !unread && !unacked;
}

/* Between passes over descriptors a socket may have been handed to another target
 * (a descriptor passed on, a process that moved): once no task of its owner holds
 * it any more, it is the holder's from here on. */
static __always_inline bool handed_on(struct socket_last *l)
{
	return l->other == vp_pass && l->mine != vp_pass && vp_pass;
}

static __always_inline u32 settle(struct sock *sk, struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	if (!handed_on(l))
		return slot;
	fold(sk, tp, l, slot);
	give(l, l->other_slot);
	l->mine = vp_pass;
	return l->other_slot;
}

static __always_inline struct subflow *subflow_of(u64 address)
{
	struct subflow *s = bpf_map_lookup_elem(&socket_subflows, &address);

	return s && s->epoch == vp_epoch ? s : NULL;
}

/* The subflow of an MPTCP listener learns who holds its descriptors. */
static __always_inline u32 settle_subflow(struct sock *sk, struct tcp_sock *tp, struct socket_last *l, u32 slot)
{
	struct subflow *s = subflow_of((u64)tp);

	if (!s)
		return slot;
	l->mine = s->mine;
	l->other = s->other;
	l->other_slot = s->other_slot;
	return s->slot = settle(sk, tp, l, slot);
}

/* An MPTCP listener that is older than we. */
static __always_inline int held_listener(struct sock *sk, struct socket_last *l)
{
	struct sock *first = first_subflow(sk);
	struct socket_cell *c;
	u32 slot;

	if (sk->__sk_common.skc_state != LISTEN)
		return 0;
	if (handed_on(l)) {
		give(l, l->other_slot);
		l->mine = vp_pass;
	}
	slot = owner(sk, l);
	c = bpf_map_lookup_elem(&socket_cells, &slot);
	if (!c)
		return 0;
	fold32(&c->tcp_listen_drops, &l->drops, BPF_CORE_READ(first, sk_drops.counter));
	c->tcp_connections[kind_of(LISTEN)]++;
	c->tcp_listen_backlog += BPF_CORE_READ(first, sk_ack_backlog);
	c->tcp_listen_backlog_limit += BPF_CORE_READ(first, sk_max_ack_backlog);
	return 0;
}

/* Where no segment came or went nothing has changed. The kernel counts a segment a
 * little before its bytes, so it must have been so for two passes. */
static __always_inline bool still(struct tcp_sock *tp, struct socket_last *l)
{
	return l->segs_in == tp->segs_in && l->segs_out == tp->segs_out;
}

/* Nothing of it but the gauges of its target is to be set anew, as in the last pass. */
static __always_inline bool rests(struct sock *sk, struct socket_last *l)
{
	return l->settled && l->map == vp_map && l->state == sk->__sk_common.skc_state && l->state != LISTEN &&
	       l->at_gen == vp_gen(l->at) && !handed_on(l) && !flow_wanted();
}

static __always_inline void remember(struct sock *sk, struct socket_last *l, u32 slot)
{
	l->state = sk->__sk_common.skc_state;
	l->map = vp_map;
	l->at = slot;
	l->at_gen = vp_gen(slot);
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
		return sk->sk_protocol == IPPROTO_MPTCP ? held_listener(sk, l) : 0;
	was_still = still(tp, l);
	if (was_still && rests(sk, l)) {
		slot = l->at;
		c = bpf_map_lookup_elem(&socket_cells, &slot);
		if (c)
			gauges(sk, l, c);
		return 0;
	}
	slot = owner(sk, l);
	if (connected(sk))
		flow_meet(sk, tp, &l->flow, slot, false);
	if (sk->__sk_common.skc_state == LISTEN && is_subflow(tp))
		slot = settle_subflow(sk, tp, l, slot);
	else
		slot = settle(sk, tp, l, slot);
	c = bpf_map_lookup_elem(&socket_cells, &slot);
	if (!c)
		return 0;
	if (!was_still || !l->settled) {
		observe_rtt(tp, l, slot);
		l->srtt = tp->srtt_us >> 3;
		fold(sk, tp, l, slot);
		l->settled = queues(sk, tp, c) && was_still;
	}
	remember(sk, l, slot);
	gauges(sk, l, c);
	if (connected(sk))
		flow_open(sk, tp, &l->flow, slot, (u64)l->srtt * 1000);
	return 0;
}

static __always_inline void hold(struct sock *sk, struct socket_last *l, u32 slot)
{
	if (slot == owner(sk, l)) {
		l->mine = vp_passing;
	} else {
		l->other = vp_passing;
		l->other_slot = slot;
	}
}

/* Of an MPTCP socket that listens; the passes note who holds it with its subflow. */
static __always_inline void pass_mptcp(struct sock *sk, u32 slot)
{
	struct sock *first = first_subflow(sk);
	struct subflow *s = subflow_of((u64)first);
	struct socket_last *l;

	if (s) {
		if (slot == s->slot) {
			s->mine = vp_passing;
		} else {
			s->other = vp_passing;
			s->other_slot = slot;
		}
		return;
	}
	l = track(sk);
	if (!l)
		return;
	if (l->epoch != vp_epoch) {
		l->drops = BPF_CORE_READ(first, sk_drops.counter);
		l->owned = l->closed = false;
		l->epoch = vp_epoch;
	}
	hold(sk, l, slot);
}

/* A pass over the descriptors of all tasks, at the start and now and then: finds
 * sockets that are older than we, and who holds each socket. */
SEC("iter/task_file")
int socket_pass(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct sock *sk = vp_held_sock(t, ctx->file);
	struct socket_last *l;
	struct tcp_sock *tp;
	u32 slot;

	if (!sk || sk->__sk_common.skc_state == CLOSE)
		return 0;
	if (sk->__sk_common.skc_state == LISTEN)
		flow_listens(sk);
	slot = vp_task_slot(t);
	if (sk->sk_protocol == IPPROTO_MPTCP) {
		if (sk->__sk_common.skc_state == LISTEN)
			pass_mptcp(sk, slot);
		return 0;
	}
	tp = bpf_skc_to_tcp_sock(sk);
	l = tp ? track(tp) : NULL;
	if (!l)
		return 0;
	if (l->epoch != vp_epoch)
		baseline(sk, tp, l);
	hold(sk, l, slot);
	return 0;
}

/* Only where a datagram is dropped. Before 6.3 the tracepoint has no skb. */
SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(socket_udp_drop, int rc, struct sock *sk)
{
	count(vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id), on_udp_drops, udp_drops_of);
	return 0;
}
