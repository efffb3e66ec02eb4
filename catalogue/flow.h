//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Who talks to whom. What the socket group folds of a connection is added once more to
 * its flow: all connections of one target with one peer and one port of the server, on
 * the client's side or on the server's. So the flows of a target add up to its bytes,
 * and nothing happens per message here either.
 *
 * Who the peer is: where both ends are on this node they meet by the client's address
 * and port, which stay the same when only the server's are translated (a Service's
 * virtual address). Else it is the address that the socket sees. */
#ifndef VP_FLOW_H
#define VP_FLOW_H

#include "tcp.h"
#include <bpf/bpf_endian.h>

#define FLOWS 2048	   /* of the node */
#define FLOWS_OF_TARGET 60 /* what is beyond goes to the target's flow for all others */
#define FLOW_ENDS 4096

const volatile u64 on_flow_sent_bytes, on_flow_received_bytes, on_flow_retransmits, on_flow_connects, on_flow_connect_failures, on_flow_connect_time, on_flow_connections,
	on_flow_srtt;

u32 vp_epoch;	 /* grows with each attachment */
u32 vp_pass;	 /* number of the last complete pass over descriptors */
u32 vp_passing;	 /* number of the pass that runs */
u64 vp_wanted;	 /* families that any target wants */

enum { FLOW_CLIENT = 1, FLOW_SERVER };
enum { FLOW_TARGET = 1, FLOW_ADDRESS, FLOW_INTERNET };

struct flow_key {
	u64 peer[2]; /* an address (IPv4 as ::ffff:a.b.c.d), or slot | generation << 32 of a target */
	u32 slot, gen;
	u16 port; /* the server's */
	u8 side, kind;
	u32 zero;
};

/* What follows connect_time is set anew by each pass. */
struct flow_cell {
	struct flow_key key;
	u32 serial, used; /* serial changes when the cell is another flow's */
	u64 sent, received, retransmits, connects, failures, connect_time;
	u64 connections, srtt, established;
};
/* The last ones are for what is beyond a bound: of each slot, by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS + 2 * 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct flow_cell);
} flow_cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, u32);
} flow_numbers SEC(".maps");

/* Cells that were used and are free again; those from flow_next on never were. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, FLOWS);
	__type(value, u32);
} flow_free SEC(".maps");
u32 flow_next;

/* How many flows a slot has. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, u64);
} flow_counts SEC(".maps");

/* The client's end of a connection; net is its network namespace where the address
 * means something in it alone (loopback). */
struct flow_end {
	u64 address[2];
	u64 net;
	u64 port;
};
struct flow_who {
	u32 slot, gen;
};
struct flow_meeting {
	struct flow_who who[2]; /* client, server ... */
	bool there[2];		/* ... who has been there */
	u16 port; /* the server's */
	u32 epoch;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOW_ENDS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_end);
	__type(value, struct flow_meeting);
} flow_meetings SEC(".maps");

/* Ports that had a listener in a pass over descriptors, by its number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct vp_port);
	__type(value, u32);
} flow_ports SEC(".maps");

u64 flow_unmet; /* ends for which there was no room: their peers are told by address */

/* What a connection's storage holds of all this. */
#define FLOW_LOOKS 3 /* passes in which an end looks for the other */
struct flow_ref {
	u32 cell, serial;    /* 1 + its number; 0: not looked up yet */
	struct flow_who peer; /* once they have met */
	u16 port;	     /* the server's, as the server knows it */
	u8 side, looks;
	bool met;
	u32 fresh; /* its connect has not been counted */
};

static __always_inline u64 flow_families(void)
{
	return on_flow_sent_bytes | on_flow_received_bytes | on_flow_retransmits | on_flow_connects | on_flow_connect_failures | on_flow_connect_time |
	       on_flow_connections | on_flow_srtt;
}

static __always_inline bool flow_wanted(void)
{
	return vp_wanted & flow_families();
}

static __always_inline void flow_mapped(u32 v4, u64 to[2])
{
	to[0] = 0;
	to[1] = (u64)v4 << 32 | 0xffff0000ULL;
}

static __always_inline void flow_address(struct sock *sk, bool peer, u64 to[2])
{
	struct sock_common *c = &sk->__sk_common;

	if (c->skc_family == AF_INET || !bpf_core_field_exists(c->skc_v6_daddr)) {
		flow_mapped(peer ? c->skc_daddr : c->skc_rcv_saddr, to);
	} else if (peer) {
		to[0] = c->skc_v6_daddr.in6_u.u6_addr32[0] | (u64)c->skc_v6_daddr.in6_u.u6_addr32[1] << 32;
		to[1] = c->skc_v6_daddr.in6_u.u6_addr32[2] | (u64)c->skc_v6_daddr.in6_u.u6_addr32[3] << 32;
	} else {
		to[0] = c->skc_v6_rcv_saddr.in6_u.u6_addr32[0] | (u64)c->skc_v6_rcv_saddr.in6_u.u6_addr32[1] << 32;
		to[1] = c->skc_v6_rcv_saddr.in6_u.u6_addr32[2] | (u64)c->skc_v6_rcv_saddr.in6_u.u6_addr32[3] << 32;
	}
}

static __always_inline bool flow_is_v4(const u64 a[2])
{
	return !a[0] && (u32)a[1] == 0xffff0000U;
}

static __always_inline bool flow_loopback(const u64 a[2])
{
	return flow_is_v4(a) ? (u8)(a[1] >> 32) == 127 : !a[0] && a[1] == 1ULL << 56;
}

/* Not private, shared, link-local or loopback. Many such clients are one peer. */
static __always_inline bool flow_public(const u64 a[2])
{
	u8 x = flow_is_v4(a) ? a[1] >> 32 : a[0], y = flow_is_v4(a) ? a[1] >> 40 : a[0] >> 8;

	if (flow_loopback(a))
		return false;
	if (!flow_is_v4(a))
		return (x & 0xfe) != 0xfc && !(x == 0xfe && (y & 0xc0) == 0x80);
	return x != 10 && !(x == 172 && (y & 0xf0) == 16) && !(x == 192 && y == 168) && !(x == 100 && (y & 0xc0) == 64) && !(x == 169 && y == 254);
}

/* The socket's own port: skc_num is 0 once a socket that did not choose it is closed. */
static __always_inline u16 flow_port(struct tcp_sock *tp)
{
	return bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
}

/* A pass has met a listener. */
static __always_inline void flow_listens(struct sock *sk)
{
	struct vp_port p = vp_port_of(sk);

	if (flow_wanted() && bpf_map_update_elem(&flow_ports, &p, &vp_passing, BPF_ANY))
		vp_fail();
}

static __always_inline void flow_unlistens(struct sock *sk)
{
	struct vp_port p = vp_port_of(sk);

	bpf_map_delete_elem(&flow_ports, &p);
}

/* Which side a connection is that is older than we. */
static __always_inline u8 flow_side(struct sock *sk, struct tcp_sock *tp)
{
	struct vp_port p = vp_port_of(sk);
	u32 *seen;

	p.port = flow_port(tp);
	seen = bpf_map_lookup_elem(&flow_ports, &p);
	return seen && (*seen == vp_pass || *seen == vp_passing) ? FLOW_SERVER : FLOW_CLIENT;
}

static __always_inline struct flow_end flow_end_of(struct sock *sk, struct tcp_sock *tp, bool client)
{
	struct flow_end e = {};

	flow_address(sk, !client, e.address);
	if (flow_loopback(e.address))
		e.net = (u64)sk->__sk_common.skc_net.net;
	e.port = client ? flow_port(tp) : bpf_ntohs(sk->__sk_common.skc_dport);
	return e;
}

/* The end of a connection looks for the other, and leaves word of itself until they
 * have met, or nobody came in some passes. A client is established before its server:
 * what is here when a fresh client comes is of a connection that is over, and where
 * nothing is here when a fresh server comes, its client is not on this node. */
static __noinline void flow_meet(struct sock *sk, struct tcp_sock *tp, struct flow_ref *f, u32 slot, bool fresh)
{
	struct flow_meeting first = {}, *m;
	struct flow_end end;
	bool client;

	if (!flow_wanted() || f->looks >= FLOW_LOOKS)
		return;
	if (!f->side)
		f->side = flow_side(sk, tp);
	client = f->side == FLOW_CLIENT;
	end = flow_end_of(sk, tp, client);
	m = bpf_map_lookup_elem(&flow_meetings, &end);
	if (m && m->epoch == vp_epoch && !(client && fresh)) {
		struct flow_who *peer = &m->who[client], *own = &m->who[!client];
		bool waited = m->there[!client];

		if (!client)
			m->port = flow_port(tp);
		own->slot = slot;
		own->gen = vp_gen(slot);
		m->there[!client] = true;
		if (m->there[client] && peer->gen == vp_gen(peer->slot)) {
			f->peer = *peer;
			f->port = m->port;
			f->met = true;
			f->cell = 0;
			f->looks = FLOW_LOOKS;
			if (waited) /* the other has seen us when it came */
				bpf_map_delete_elem(&flow_meetings, &end);
			return;
		}
	} else if (fresh && !client) {
		f->looks = FLOW_LOOKS;
		return;
	} else {
		first.epoch = vp_epoch;
		if (!client)
			first.port = flow_port(tp);
		first.who[!client].slot = slot;
		first.who[!client].gen = vp_gen(slot);
		first.there[!client] = true;
		if (bpf_map_update_elem(&flow_meetings, &end, &first, BPF_ANY))
			__sync_fetch_and_add(&flow_unmet, 1);
	}
	if (!fresh && ++f->looks >= FLOW_LOOKS)
		bpf_map_delete_elem(&flow_meetings, &end);
}

/* A connection is over. A server leaves its word for a client that has not looked yet. */
static __always_inline void flow_part(struct sock *sk, struct tcp_sock *tp, struct flow_ref *f)
{
	struct flow_meeting *m;
	struct flow_end end;

	if (!flow_wanted() || !f->side || (f->met && f->side == FLOW_CLIENT))
		return;
	end = flow_end_of(sk, tp, f->side == FLOW_CLIENT);
	m = bpf_map_lookup_elem(&flow_meetings, &end);
	if (m && (f->side == FLOW_CLIENT || !m->there[0]))
		bpf_map_delete_elem(&flow_meetings, &end);
}

static __always_inline void flow_key_of(struct sock *sk, struct tcp_sock *tp, struct flow_ref *f, u32 slot, u32 gen, struct flow_key *key)
{
	if (!f->side)
		f->side = flow_side(sk, tp);
	key->slot = slot;
	key->gen = gen;
	key->side = f->side;
	if (f->met) {
		key->kind = FLOW_TARGET;
		key->peer[0] = (u64)f->peer.gen << 32 | f->peer.slot;
		key->port = f->port;
		return;
	}
	key->kind = FLOW_ADDRESS;
	flow_address(sk, true, key->peer);
	if (f->side == FLOW_CLIENT) {
		key->port = bpf_ntohs(sk->__sk_common.skc_dport);
		return;
	}
	key->port = flow_port(tp);
	if (flow_public(key->peer)) {
		key->kind = FLOW_INTERNET;
		key->peer[0] = key->peer[1] = 0;
	}
}

/* A number for a new flow. -1: there is none. */
static __always_inline s64 flow_number(void)
{
	u32 n;

	if (!bpf_map_pop_elem(&flow_free, &n))
		return n;
	if (flow_next >= FLOWS)
		return -1;
	n = __sync_fetch_and_add(&flow_next, 1);
	return n < FLOWS ? (s64)n : -1;
}

/* The number of a flow, which is made where there is none; -1: it is beyond a bound. */
static __always_inline s64 flow_find(struct flow_key *key)
{
	u32 *known = bpf_map_lookup_elem(&flow_numbers, key), n;
	struct flow_cell *c;
	u64 *count;
	s64 next;

	if (known)
		return *known;
	count = bpf_map_lookup_elem(&flow_counts, &key->slot);
	if (!count || *count >= FLOWS_OF_TARGET)
		return -1;
	next = flow_number();
	if (next < 0)
		return -1;
	n = next;
	c = bpf_map_lookup_elem(&flow_cells, &n);
	if (!c)
		return -1;
	c->key = *key;
	if (bpf_map_update_elem(&flow_numbers, key, &n, BPF_NOEXIST)) { /* another CPU was first, or there is no memory */
		bpf_map_push_elem(&flow_free, &n, 0);
		known = bpf_map_lookup_elem(&flow_numbers, key);
		return known ? *known : -1;
	}
	c->used = 1;
	__sync_fetch_and_add(count, 1);
	return n;
}

/* The cell in which a connection of a slot counts; NULL where that is not wanted. */
static __noinline struct flow_cell *flow_of(struct sock *sk, struct tcp_sock *tp, struct flow_ref *f, u32 slot)
{
	struct vp_slot *s = bpf_map_lookup_elem(&vp_slots, &slot);
	struct flow_key key = {};
	struct flow_cell *c;
	s64 found;
	u32 n;

	if (!s || !(vp_switches(s) & flow_families()))
		return NULL;
	if (f->cell) {
		n = f->cell - 1;
		c = bpf_map_lookup_elem(&flow_cells, &n);
		if (c && c->serial == f->serial && c->key.slot == slot && c->key.gen == s->gen)
			return c;
		f->cell = 0;
	}
	flow_key_of(sk, tp, f, slot, s->gen, &key);
	found = flow_find(&key);
	n = found >= 0 ? found : FLOWS + 2 * slot + (f->side == FLOW_SERVER);
	c = bpf_map_lookup_elem(&flow_cells, &n);
	if (c && found >= 0) {
		f->serial = c->serial;
		f->cell = n + 1;
	}
	return c;
}

/* What a fold has added to the cell of the target; bytes may be less than nothing. */
struct flow_counts {
	u64 sent, received, retransmits;
	u64 connect_time; /* of a fresh connection that the target opened */
};

static __always_inline void flow_fold(struct sock *sk, struct tcp_sock *tp, struct flow_ref *f, u32 slot, struct flow_counts *n)
{
	u32 fresh = f->fresh ? __sync_lock_test_and_set(&f->fresh, 0) : 0;
	struct flow_cell *c;

	if (!flow_wanted() || !(fresh | n->sent | n->received | n->retransmits))
		return;
	c = flow_of(sk, tp, f, slot);
	if (!c)
		return;
	if (n->sent)
		__sync_fetch_and_add(&c->sent, n->sent);
	if (n->received)
		__sync_fetch_and_add(&c->received, n->received);
	if (n->retransmits)
		__sync_fetch_and_add(&c->retransmits, n->retransmits);
	if (fresh) {
		__sync_fetch_and_add(&c->connects, 1);
		__sync_fetch_and_add(&c->connect_time, n->connect_time);
	}
}

static __always_inline void flow_failed(struct sock *sk, struct tcp_sock *tp, struct flow_ref *f, u32 slot)
{
	struct flow_cell *c = flow_wanted() ? flow_of(sk, tp, f, slot) : NULL;

	if (c)
		__sync_fetch_and_add(&c->failures, 1);
}

/* A connection that is open at a pass. */
static __always_inline void flow_open(struct sock *sk, struct tcp_sock *tp, struct flow_ref *f, u32 slot, u64 srtt)
{
	struct flow_cell *c = flow_wanted() ? flow_of(sk, tp, f, slot) : NULL;

	if (!c)
		return;
	__sync_fetch_and_add(&c->connections, 1);
	if (srtt) {
		__sync_fetch_and_add(&c->srtt, srtt);
		__sync_fetch_and_add(&c->established, 1);
	}
}

#endif
