//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Requests over AF_UNIX connections, without a look at their bytes: what the connecting
 * side sent, from the return of its first send over the first read to the return of the
 * first send of the other, accepted side. Both are on this machine and nothing is between
 * them, so that one turn is the server's request and the client's alike.
 *
 * The state is in the accepted socket's storage. The hooks come behind their calls: the
 * server may have read, and even answered, before the client's hook says that something
 * was sent. Such a request begins at the return of the read. */
#include "vp.h"

#define AF_UNIX 1
#define SOCK_DGRAM 2
#define MSG_PEEK 2

const volatile u64 on_unix_requests, on_unix_request_latency, on_unix_request_wait;

enum { SERVER, CLIENT, SIDES };
VP_HISTOGRAM(unix_request_latency);
VP_HISTOGRAM(unix_request_wait);

struct unixrequest_cell {
	u64 unix_requests[SIDES];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct unixrequest_cell);
} unixrequest_cells SEC(".maps");

/* The accepted end of a connection. */
struct unix_end {
	u64 start;
	u64 arrived; /* the first send of the peer since the last read; 0: none */
	struct {
		u32 slot, gen;
	} side[SIDES];
	u32 read; /* and not answered */
	u32 epoch;
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct unix_end);
} unix_ends SEC(".maps");

u32 vp_epoch; /* grows with each attachment */

static __always_inline u64 families(void)
{
	return on_unix_requests | on_unix_request_latency | on_unix_request_wait;
}

/* An accepted socket has the address of its listener, the very object, from its
 * beginning (net/unix/af_unix.c: unix_stream_connect). A client that bound itself has
 * one of its own, which nothing else refers to; the ends of a pair have none. */
static __always_inline bool accepted(struct unix_sock *u, struct unix_sock *peer)
{
	return u->addr && (!peer->addr || u->addr->refcnt.refs.counter > 1);
}

static __always_inline void take(struct unix_end *e, u32 side, u32 slot)
{
	e->side[side].slot = slot;
	e->side[side].gen = vp_gen(slot);
}

/* Its state; made where there is none. The client is whose connect made the socket, until
 * we see it send. Both ends may want it made at the same time: one of them is refused,
 * and finds the other's, whole from its beginning. */
static __always_inline struct unix_end *end_of(struct sock *sk)
{
	struct unix_end *e = bpf_sk_storage_get(&unix_ends, sk, 0, 0);
	struct unix_end fresh = {};

	if (!e) {
		fresh.epoch = vp_epoch;
		take(&fresh, CLIENT, vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id));
		e = bpf_sk_storage_get(&unix_ends, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
		if (!e)
			e = bpf_sk_storage_get(&unix_ends, sk, 0, 0);
	}
	if (!e) {
		vp_fail();
		return NULL;
	}
	if (e->epoch != vp_epoch) { /* of an earlier attachment */
		e->arrived = 0;
		e->read = false;
		take(e, CLIENT, vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id));
		e->epoch = vp_epoch;
	}
	return e;
}

/* What a side wants; the remainder stands for a target that is gone. */
static __always_inline u64 wanted(struct unix_end *e, u32 side)
{
	if (vp_gen(e->side[side].slot) != e->side[side].gen)
		take(e, side, VP_REMAINDER);
	return vp_on(e->side[side].slot, families());
}

static __always_inline void count(struct unix_end *e, u32 side, u64 ns)
{
	u64 on = wanted(e, side);
	u32 slot = e->side[side].slot; /* which wanted may have changed */
	struct unixrequest_cell *c;

	if (on & on_unix_requests) {
		c = bpf_map_lookup_elem(&unixrequest_cells, &slot);
		if (c)
			__sync_fetch_and_add(&c->unix_requests[side], 1);
	}
	if (on & on_unix_request_latency)
		vp_observe(&unix_request_latency, slot, side, SIDES, ns);
}

static __always_inline void answered(struct sock *sk)
{
	struct unix_end *e = bpf_sk_storage_get(&unix_ends, sk, 0, 0);
	u64 ns;

	if (!e || !e->read || e->epoch != vp_epoch || !__sync_lock_test_and_set(&e->read, false))
		return;
	ns = bpf_ktime_get_ns() - e->start;
	count(e, SERVER, ns);
	count(e, CLIENT, ns);
}

/* Where the queue is empty, the server has taken what was sent, and its hook clears or
 * has cleared the stamp: we stamp first and then look. */
static __always_inline void asked(struct sock *server)
{
	struct unix_end *e = end_of(server);
	u64 now;

	if (!e || e->arrived)
		return;
	take(e, CLIENT, vp_task_slot(bpf_get_current_task_btf()));
	now = bpf_ktime_get_ns();
	__sync_lock_test_and_set(&e->arrived, now);
	if (!server->sk_receive_queue.qlen)
		__sync_val_compare_and_swap(&e->arrived, now, 0);
}

static __always_inline bool connected(struct sock *sk)
{
	return sk->__sk_common.skc_family == AF_UNIX && sk->sk_type != SOCK_DGRAM;
}

static __always_inline int sent(struct sock *sk, int ret)
{
	struct unix_sock *u, *peer;

	if (ret <= 0 || !connected(sk))
		return 0;
	u = bpf_skc_to_unix_sock(sk);
	if (!u || !u->peer)
		return 0;
	peer = bpf_skc_to_unix_sock(u->peer);
	if (!peer)
		return 0;
	if (accepted(u, peer))
		answered(sk);
	else if (accepted(peer, u))
		asked(u->peer);
	return 0;
}

static __always_inline int received(struct sock *sk, int ret, int flags)
{
	struct unix_sock *u, *peer;
	struct unix_end *e;
	u64 arrived, on;

	if (ret <= 0 || flags & MSG_PEEK || !connected(sk))
		return 0;
	u = bpf_skc_to_unix_sock(sk);
	if (!u || !u->peer)
		return 0;
	peer = bpf_skc_to_unix_sock(u->peer);
	if (!peer || !accepted(u, peer))
		return 0;
	e = end_of(sk);
	if (!e)
		return 0;
	arrived = __sync_lock_test_and_set(&e->arrived, 0);
	if (e->read)
		return 0;
	take(e, SERVER, vp_task_slot(bpf_get_current_task_btf()));
	on = wanted(e, SERVER);
	if (!on && !wanted(e, CLIENT))
		return 0;
	e->start = arrived ? arrived : bpf_ktime_get_ns();
	e->read = true;
	if (arrived && on & on_unix_request_wait)
		vp_observe(&unix_request_wait, e->side[SERVER].slot, 0, 1, bpf_ktime_get_ns() - arrived);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(unixrequest_send, struct sock *sk, int ret)
{
	return sent(sk, ret);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(unixrequest_recv, struct sock *sk, int ret, int flags)
{
	return received(sk, ret, flags);
}

/* 6.1 has no such tracepoints. */
SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(unixrequest_stream_sent, struct socket *s, void *message, u64 size, int ret)
{
	return sent(s->sk, ret);
}

SEC("fexit/unix_stream_recvmsg")
int BPF_PROG(unixrequest_stream_received, struct socket *s, void *message, u64 size, int flags, int ret)
{
	return received(s->sk, ret, flags);
}

SEC("fexit/unix_seqpacket_sendmsg")
int BPF_PROG(unixrequest_seqpacket_sent, struct socket *s, void *message, u64 size, int ret)
{
	return sent(s->sk, ret);
}

SEC("fexit/unix_seqpacket_recvmsg")
int BPF_PROG(unixrequest_seqpacket_received, struct socket *s, void *message, u64 size, int flags, int ret)
{
	return received(s->sk, ret, flags);
}
