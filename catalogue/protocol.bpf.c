//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Requests by protocol and class of status, from the payload of packets: of HTTP/1 and
 * TLS the first bytes, of HTTP/2, Redis and PostgreSQL the heads of frames, values and
 * messages, one after the other. Nothing of it is kept but the class, and the head of a
 * token that a packet cuts. The programs are on the root of the cgroups and see each packet of each
 * socket; headers come before the gate, so that segments without payload leave first.
 *
 * Who asks is the server's peer, and which end that is the first request tells; under
 * TLS the client's hello, or whether somebody listens on our port. */
#include "protocol_owner.h"
#include "protocol_recognise.h"

#define KEEP 1   /* what a program on packets says to let one pass */
#define ENOUGH 32 /* packets after which a connection is of no protocol that we know */

/* The payload of a TCP segment; headers are never in fragments here. */
static __always_inline bool payload(struct __sk_buff *skb, struct segment *s)
{
	u8 *b = (u8 *)(long)skb->data, *end = (u8 *)(long)skb->data_end;
	u32 at = 40;

	if (b + 40 > end)
		return false;
	if (b[0] >> 4 == 4) {
		if (b[9] != IPPROTO_TCP)
			return false;
		at = (b[0] & 15) * 4;
	} else if (b[6] != IPPROTO_TCP) { /* nor with extension headers */
		return false;
	}
	b += at;
	if (b + 20 > end)
		return false;
	s->seq = word(b + 4);
	s->at = at + (b[12] >> 4) * 4;
	s->end = skb->len;
	return s->at < s->end;
}

static __always_inline bool walked(struct connection *c)
{
	return c->protocol == HTTP2 || c->protocol == REDIS || c->protocol == POSTGRESQL;
}

/* Take the packet's new bytes in hand: false where there are none (it was sent again),
 * or another CPU reads this direction, which leaves a gap. */
static __always_inline bool claim(struct segment *s, struct connection *c, struct walk *w)
{
	u32 end = s->seq + s->end - s->at, switched;
	s32 behind;

	if (__sync_lock_test_and_set(&w->busy, 1))
		return false;
	behind = w->next - s->seq;
	if (w->seen && (s32)(end - w->next) <= 0) {
		w->busy = 0;
		return false;
	}
	switched = vp_switched(s->slot);
	if (w->seen && behind > 0) {
		s->at += behind;
	} else if (w->seen && behind < 0) { /* what is read by its packets' heads alone goes on */
		if (!walked(c)) {
			c->answered = c->asked;
		} else {
			if (c->switched == switched) /* else nobody wanted what came meanwhile */
				vp_fail();
			forget(c);
			c->walks[!s->way].seen = 0; /* as much may be missing there */
		}
	}
	c->switched = switched;
	w->next = end;
	w->seen = 1;
	return true;
}

static __always_inline struct packet packet(struct __sk_buff *skb, struct connection *c, struct walk *w, struct segment *s)
{
	struct packet p = { .skb = skb, .c = c, .w = w, .on = s->on, .slot = s->slot, .at = s->at, .end = s->end };

	p.asks = (s->way == INGRESS) == c->server;
	return p;
}

/* Token by token: HTTP/2, Redis and PostgreSQL. */
__noinline int protocol_frames(struct __sk_buff *skb, struct connection *c, struct walk *w, struct segment *s)
{
	struct packet p;

	if (!c || !w || !s || !skb->sk)
		return 0;
	p = packet(skb, c, w, s);
	p.h = bpf_sk_storage_get(&protocol_http2s, skb->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!p.h) {
		vp_fail();
		c->protocol = OTHER;
		return 0;
	}
	if (bpf_loop(TOKENS, http2_step, &p, 0) == TOKENS)
		lose(&p);
	return 0;
}

__noinline int protocol_redis(struct __sk_buff *skb, struct connection *c, struct walk *w, struct segment *s)
{
	struct packet p;

	if (!c || !w || !s)
		return 0;
	p = packet(skb, c, w, s);
	if (bpf_loop(TOKENS, redis_step, &p, 0) == TOKENS)
		lose(&p);
	return 0;
}

__noinline int protocol_postgres(struct __sk_buff *skb, struct connection *c, struct walk *w, struct segment *s)
{
	struct packet p;

	if (!c || !w || !s)
		return 0;
	p = packet(skb, c, w, s);
	if (bpf_loop(TOKENS, postgres_step, &p, 0) == TOKENS)
		lose(&p);
	return 0;
}

/* HTTP and TLS, and what is not known yet: by what the packet begins with. */
__noinline int protocol_start(struct __sk_buff *skb, struct connection *c, struct walk *w, struct segment *s)
{
	struct packet p;
	u8 *b;

	if (!c || !w || !s)
		return 0;
	p = packet(skb, c, w, s);
	b = w->head; /* free where no token is kept */
	if (!load_start(&p))
		return 0;
	if (c->protocol == UNKNOWN) {
		c->protocol = recognise(&p, b, s->way);
		if (c->protocol == UNKNOWN && ++c->tries == ENOUGH)
			c->protocol = OTHER;
		c->server = (s->way == INGRESS) == p.asks;
		if (c->protocol == HTTP2 && skb->sk)
			bpf_sk_storage_delete(&protocol_http2s, skb->sk); /* what is known of an earlier one */
		s->at = p.at;
	}
	if (c->protocol == HTTP)
		http(&p, b);
	else if (c->protocol == TLS)
		tls(&p, b);
	return 0;
}

static __always_inline void read(struct __sk_buff *skb, struct connection *c, struct walk *w, struct segment *s)
{
	if (!walked(c))
		protocol_start(skb, c, w, s);
	if (c->protocol == HTTP2)
		protocol_frames(skb, c, w, s);
	else if (c->protocol == REDIS)
		protocol_redis(skb, c, w, s);
	else if (c->protocol == POSTGRESQL)
		protocol_postgres(skb, c, w, s);
}

/* The connection of a socket whose target wants any of the families. */
static __always_inline struct connection *find(struct __sk_buff *skb, struct bpf_sock *sk, struct segment *s)
{
	struct connection *c = bpf_sk_storage_get(&protocol_connections, sk, 0, 0);
	u64 maker;

	if (c && c->protocol == OTHER)
		return NULL;
	maker = bpf_skb_cgroup_id(skb);
	s->slot = c ? settle(c, maker) : vp_slot_of(maker);
	s->on = wanted(s->slot, c);
	if (!s->on || c)
		return s->on ? c : NULL;
	c = bpf_sk_storage_get(&protocol_connections, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c)
		vp_fail();
	return c;
}

static __always_inline int look(struct __sk_buff *skb, u32 way)
{
	struct bpf_sock *sk = skb->sk;
	struct segment s = { .way = way };
	struct connection *c;
	struct walk *w;

	if (!sk || !payload(skb, &s) || sk->state == LISTEN)
		return KEEP;
	c = find(skb, sk, &s);
	if (!c)
		return KEEP;
	w = &c->walks[way];
	if (claim(&s, c, w)) {
		read(skb, c, w, &s);
		w->busy = 0;
	}
	return KEEP;
}

SEC("cgroup_skb/egress")
int protocol_send(struct __sk_buff *skb)
{
	return look(skb, EGRESS);
}

SEC("cgroup_skb/ingress")
int protocol_receive(struct __sk_buff *skb)
{
	return look(skb, INGRESS);
}

/* A pass over the descriptors of all tasks: who holds a socket that another target
 * made. A listener is whose it is handed to: its maker may keep it (systemd does). */
SEC("iter/task_file")
int protocol_pass(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct sock *sk = vp_held_sock(t, ctx->file);
	struct tcp_sock *tp;
	struct connection *c;
	u32 slot, maker;

	if (!sk)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	slot = vp_task_slot(t);
	maker = vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id);
	c = bpf_sk_storage_get(&protocol_connections, tp, 0, 0);
	if (!c) {
		if (slot == maker || !(wanted(slot, NULL) | wanted(maker, NULL)))
			return 0;
		c = bpf_sk_storage_get(&protocol_connections, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!c) {
			vp_fail();
			return 0;
		}
	}
	if (sk->__sk_common.skc_state == LISTEN) {
		if (slot != maker)
			give(c, slot);
	} else if (slot == owner(c, sk->sk_cgrp_data.cgroup->kn->id)) {
		c->mine = vp_passing;
	} else {
		c->other = vp_passing;
		c->other_slot = slot;
	}
	return 0;
}
