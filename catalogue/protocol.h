//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What the protocol group keeps of a connection: who asks, which requests are open
 * and since when, and how far each direction has been read. */
#ifndef VP_PROTOCOL_H
#define VP_PROTOCOL_H

#include "tcp.h"

const volatile u64 on_protocol_requests, on_protocol_latency, on_outbound_protocol_requests, on_outbound_protocol_latency;

/* The order of the labels' values. */
enum protocol { UNKNOWN, HTTP, HTTP2, GRPC, REDIS, POSTGRESQL, TLS, OTHER };
enum class { OK, REDIRECT, CLIENT_ERROR, SERVER_ERROR, ERROR, UNTOLD, CLASSES };
#define LABELS ((OTHER - HTTP) * CLASSES)

VP_HISTOGRAM(protocol_latency);
VP_HISTOGRAM(outbound_protocol_latency);

struct protocol_cell {
	u64 protocol_requests[LABELS], outbound_protocol_requests[LABELS];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct protocol_cell);
} protocol_cells SEC(".maps");

#define HEAD 16     /* bytes of a token that are looked at */
#define TOKENS 1024 /* that are read of one packet */

/* How far one direction of a connection was read. A token (a line, a message's head)
 * that the packet cuts is kept until the rest comes. */
struct walk {
	u32 next; /* sequence number of the byte behind what came */
	u32 skip; /* bytes that come of the token before */
	u32 left; /* Redis: values that belong to the one before; HTTP/2: bytes of the header block */
	u32 busy;
	u8 seen, have, line, failed;
	u8 head[2 * HEAD] __attribute__((aligned(8)));
};

/* Requests that came in one packet. */
struct batch {
	u64 at;
	u32 upto; /* number of the last of them */
};
#define BATCHES 16

enum { EGRESS, INGRESS };

/* Requests are written by packets of one direction and taken by those of the other. */
struct connection {
	struct batch batches[BATCHES];
	u64 begun; /* PostgreSQL: when the request began that is not complete */
	u32 asked, answered;
	u32 first, behind; /* batches */
	struct walk walks[2];
	u32 slot, gen; /* owner, where it is not the cgroup that made the socket */
	u32 mine, other, other_slot; /* passes in which a task of the owner, of another target held it */
	u32 switched;
	u8 protocol, server, owned, tries;
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct connection);
} protocol_connections SEC(".maps");

/* A packet with payload at one of its connection's ends. */
struct segment {
	u64 on;
	u32 slot, way, seq;
	u32 at, end; /* payload */
};

/* What is being read of it. */
struct packet {
	struct __sk_buff *skb;
	struct connection *c;
	struct walk *w;
	struct http2 *h;
	u64 on, now;
	u32 slot;
	u32 at, end; /* payload that was not looked at yet */
	bool asks;   /* from the client to the server */
};

static __always_inline u64 now(struct packet *p)
{
	if (!p->now)
		p->now = bpf_ktime_get_ns();
	return p->now;
}

static __always_inline void reset(struct walk *w)
{
	w->skip = w->left = 0;
	w->have = w->line = w->failed = 0;
}

static __always_inline bool open(struct connection *c)
{
	return c->asked != c->answered;
}

/* What is known of the connection's bytes is void; its next request is recognised
 * anew. */
static __always_inline void forget(struct connection *c)
{
	c->protocol = UNKNOWN;
	c->tries = 0;
	c->begun = 0;
	c->asked = c->answered = c->first = c->behind = 0;
	reset(&c->walks[EGRESS]);
	reset(&c->walks[INGRESS]);
}

/* A byte is not what the protocol says: what is open is lost. */
static __always_inline void lose(struct packet *p)
{
	if (open(p->c))
		vp_fail();
	forget(p->c);
	p->at = p->end;
}

/* A request that began at some time. Where more packets of requests are open than
 * there is room for, it joins the last. */
static __always_inline void ask(struct packet *p, u64 at)
{
	struct connection *c = p->c;
	u32 n = c->behind, last = n - 1;

	if (n != c->first && c->batches[last % BATCHES].at == at)
		n = last;
	else if (n - c->first >= BATCHES)
		n = last;
	else
		c->batches[n % BATCHES].at = at;
	c->batches[n % BATCHES].upto = c->asked + 1;
	c->behind = n + 1;
	c->asked++;
}

/* A request of some label has ended; began is 0 where nobody knows. Global functions
 * are looked at by the verifier once, and not for each way to them. */
__noinline int protocol_count(u64 on, u32 slot, u32 label, u32 server, u64 began)
{
	struct protocol_cell *cell = bpf_map_lookup_elem(&protocol_cells, &slot);
	u64 ns = began ? bpf_ktime_get_ns() - began : 0;

	if (!cell || label >= LABELS)
		return 0;
	if (server) {
		if (on & on_protocol_requests)
			__sync_fetch_and_add(&cell->protocol_requests[label], 1);
		if (began && on & on_protocol_latency)
			vp_observe(&protocol_latency, slot, label, LABELS, ns);
	} else {
		if (on & on_outbound_protocol_requests)
			__sync_fetch_and_add(&cell->outbound_protocol_requests[label], 1);
		if (began && on & on_outbound_protocol_latency)
			vp_observe(&outbound_protocol_latency, slot, label, LABELS, ns);
	}
	return 0;
}

/* The first of the open requests is answered; where there is none nobody asked. */
static __always_inline void answer(struct packet *p, u32 class)
{
	struct connection *c = p->c;
	u32 first = c->first;

	if (!open(c))
		return;
	c->answered++;
	if ((s32)(c->batches[first % BATCHES].upto - c->answered) < 0)
		c->first = ++first;
	protocol_count(p->on, p->slot, (c->protocol - HTTP) * CLASSES + class, c->server, c->batches[first % BATCHES].at);
}

/* Go over what comes of the token before; false where the packet ends. */
static __always_inline bool pass(struct packet *p)
{
	u32 n = p->end - p->at;

	if (n > p->w->skip)
		n = p->w->skip;
	p->at += n;
	p->w->skip -= n;
	return p->at < p->end;
}

/* Load the head of a token into the walk, behind what was kept of it. Returns how
 * many bytes are there; 0: none. */
static __always_inline u32 load(struct packet *p)
{
	u32 have = p->w->have & (HEAD - 1), n = p->end - p->at;

	if (!n)
		return 0;
	if (n > HEAD)
		n = HEAD;
	barrier_var(n); /* 6.1 has lost sight of its bounds */
	n = ((n - 1) & (HEAD - 1)) + 1;
	if (bpf_skb_load_bytes(p->skb, p->at, p->w->head + have, n))
		return 0;
	return have + n;
}

/* Load what a packet begins with, zeroes behind where it is shorter. */
static __always_inline bool load_start(struct packet *p)
{
	p->w->have = 0;
	__builtin_memset(p->w->head, 0, HEAD);
	return load(p);
}

/* The token's first bytes were used, more of them than had been kept. */
static __always_inline void take(struct packet *p, u32 used)
{
	p->at += used - p->w->have;
	p->w->have = 0;
}

/* The token is not complete: its rest is in the next packet. */
static __always_inline void wait(struct packet *p, u32 loaded)
{
	if (loaded >= HEAD) {
		lose(p);
		return;
	}
	p->w->have = loaded;
	p->at = p->end;
}

static __always_inline u32 word(const u8 *b)
{
	return (u32)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

#endif
