//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* DNS as a client: a query is a packet to port 53, its answer one from there with the
 * same number on the same socket. Of the payload only the header of 12 bytes is read.
 * The programs are on the root of the cgroups and see each packet of each socket, so
 * that ports come before the gate: nearly all leave by them. */
#include "vp.h"

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define EEXIST 17
#define KEEP 1 /* what a program on packets says to let one pass */
#define LIMIT 5000000000ULL /* ns: resolv.conf's timeout */

const volatile u64 on_dns_latency, on_dns_failures;

VP_HISTOGRAM(dns_latency);

enum { FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, OTHER, TIMEOUT, KINDS };
struct dns_cell {
	u64 dns_failures[KINDS];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct dns_cell);
} dns_cells SEC(".maps");

/* Queries without an answer. */
struct query {
	u64 socket; /* cookie */
	u64 number;
};
struct asked {
	u64 at;
	u32 slot, gen;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct query);
	__type(value, struct asked);
} dns_pending SEC(".maps");

struct header {
	u8 number[2], flags[2], counts[8];
};

static __always_inline u32 port(u8 *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

/* Where the DNS message is: behind UDP from or to port 53 at `side` (0: from, 2: to),
 * or in one TCP segment of its own behind its length. 0: there is none. */
static __always_inline u32 message(struct __sk_buff *skb, u32 side)
{
	u32 protocol, at;
	u8 b[20];

	if (bpf_skb_load_bytes(skb, 0, b, sizeof(b)))
		return 0;
	if (b[0] >> 4 == 4) {
		at = (b[0] & 15) * 4;
		protocol = b[9];
	} else { /* with extension headers it is no DNS */
		at = 40;
		protocol = b[6];
	}
	if (protocol == IPPROTO_UDP)
		return !bpf_skb_load_bytes(skb, at + side, b, 2) && port(b) == 53 ? at + 8 : 0;
	if (protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, at, b, 20) || port(b + side) != 53)
		return 0;
	at += (b[12] >> 4) * 4;
	return !bpf_skb_load_bytes(skb, at, b, 2) && at + 2 + port(b) == skb->len ? at + 2 : 0;
}

/* Is the socket's peer at another port? TCP tells always, UDP when it is connected. */
static __always_inline bool elsewhere(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	u32 to;

	if (!sk)
		return true;
	to = sk->dst_port;
	return to && to != __builtin_bswap16(53);
}

SEC("cgroup_skb/egress")
int dns_send(struct __sk_buff *skb)
{
	struct query q = {};
	struct asked a = {};
	struct header h;
	u32 at;
	int err; /* before 6.4 (d7ba4cc900bf) maps return an int, whose upper half is anything */

	if (elsewhere(skb))
		return KEEP;
	at = message(skb, 2);
	if (!at)
		return KEEP;
	a.slot = vp_slot_of(bpf_skb_cgroup_id(skb));
	if (!vp_on(a.slot, on_dns_latency | on_dns_failures))
		return KEEP;
	if (bpf_skb_load_bytes(skb, at, &h, sizeof(h)) || h.flags[0] & 0xf8) /* an answer, or no plain query */
		return KEEP;
	q.socket = bpf_get_socket_cookie(skb);
	q.number = port(h.number);
	a.gen = vp_gen(a.slot);
	a.at = bpf_ktime_get_ns();
	err = bpf_map_update_elem(&dns_pending, &q, &a, BPF_NOEXIST); /* asked again, it began with the first */
	if (err && err != -EEXIST)
		vp_fail();
	return KEEP;
}

static __always_inline u32 kind_of(u32 code)
{
	return code <= 5 ? code - 1 : OTHER;
}

static __always_inline void fail(u32 slot, u32 kind)
{
	struct dns_cell *c = bpf_map_lookup_elem(&dns_cells, &slot);

	if (c && kind < KINDS)
		__sync_fetch_and_add(&c->dns_failures[kind], 1);
}

static __always_inline u32 owner(struct asked *a)
{
	return a->gen == vp_gen(a->slot) ? a->slot : VP_REMAINDER;
}

SEC("cgroup_skb/ingress")
int dns_receive(struct __sk_buff *skb)
{
	u64 now, on, began;
	struct query q = {};
	struct asked *a;
	struct header h;
	u32 at, slot, code;

	if (elsewhere(skb))
		return KEEP;
	at = message(skb, 0);
	if (!at || bpf_skb_load_bytes(skb, at, &h, sizeof(h)) || !(h.flags[0] & 0x80))
		return KEEP;
	q.socket = bpf_get_socket_cookie(skb);
	q.number = port(h.number);
	a = bpf_map_lookup_elem(&dns_pending, &q);
	if (!a)
		return KEEP;
	slot = owner(a);
	began = a->at;
	now = bpf_ktime_get_ns();
	if (bpf_map_delete_elem(&dns_pending, &q)) /* another answer was quicker */
		return KEEP;
	on = vp_on(slot, on_dns_latency | on_dns_failures);
	if (on & on_dns_latency)
		vp_observe(&dns_latency, slot, 0, 1, now - began);
	code = h.flags[1] & 15;
	if (code && on & on_dns_failures)
		fail(slot, kind_of(code));
	return KEEP;
}

/* What was not answered in time. */
SEC("iter/bpf_map_elem")
int dns_tick(struct bpf_iter__bpf_map_elem *ctx)
{
	struct query *key = ctx->key, q;
	struct asked *a = ctx->value;
	u32 slot;

	if (!key || !a || bpf_ktime_get_ns() - a->at < LIMIT)
		return 0;
	q = *key;
	slot = owner(a);
	if (!bpf_map_delete_elem(&dns_pending, &q) && vp_on(slot, on_dns_failures))
		fail(slot, TIMEOUT);
	return 0;
}
