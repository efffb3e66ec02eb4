//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What a connection speaks, and which of its ends asks. */
#ifndef VP_PROTOCOL_RECOGNISE_H
#define VP_PROTOCOL_RECOGNISE_H

#include "protocol_http2.h"
#include "protocol_postgres.h"
#include "protocol_redis.h"

/* Does somebody listen on our port? The peer's port is one that no connection has. */
static __always_inline bool listens(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk, *found;
	struct bpf_sock_tuple t = {};
	u32 size = sizeof(t.ipv4);
	bool yes;

	if (!sk)
		return false;
	if (sk->family == AF_INET) {
		t.ipv4.daddr = sk->src_ip4;
		t.ipv4.saddr = sk->dst_ip4;
		t.ipv4.dport = __builtin_bswap16(sk->src_port);
	} else {
		t.ipv6.daddr[0] = sk->src_ip6[0];
		t.ipv6.daddr[1] = sk->src_ip6[1];
		t.ipv6.daddr[2] = sk->src_ip6[2];
		t.ipv6.daddr[3] = sk->src_ip6[3];
		t.ipv6.saddr[0] = sk->dst_ip6[0];
		t.ipv6.saddr[1] = sk->dst_ip6[1];
		t.ipv6.saddr[2] = sk->dst_ip6[2];
		t.ipv6.saddr[3] = sk->dst_ip6[3];
		t.ipv6.dport = __builtin_bswap16(sk->src_port);
		size = sizeof(t.ipv6);
	}
	found = bpf_skc_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!found)
		return false;
	yes = found->state == LISTEN;
	bpf_sk_release(found);
	return yes;
}

/* Of a hello it says who asks, of data our port. */
static __always_inline bool tls_begins(struct packet *p, const u8 *b, u32 way)
{
	if (!tls_record(b))
		return false;
	if (b[0] == APPLICATION_DATA)
		p->asks = (way == INGRESS) == listens(p->skb);
	else
		p->asks = b[5] == CLIENT_HELLO;
	return b[0] == APPLICATION_DATA || b[5] == CLIENT_HELLO || b[5] == SERVER_HELLO;
}

/* What a connection speaks, by a packet of a request. Of HTTP an answer of ours will
 * do: the first request came with the handshake where the listener waits for it
 * (TCP_DEFER_ACCEPT), and nobody knows when. */
static __always_inline u32 recognise(struct packet *p, const u8 *b, u32 way)
{
	u32 length = p->end - p->at;

	p->asks = true;
	if (http_request(b))
		return HTTP;
	if (http2_preface(b)) {
		p->w->skip = PREFACE;
		return HTTP2;
	}
	if (http2_request(b))
		return HTTP2;
	if (redis_request(b))
		return REDIS;
	if (postgres_startup(b, length)) {
		p->at = p->end;
		return POSTGRESQL;
	}
	if (postgres_request(p, b))
		return POSTGRESQL;
	if (tls_begins(p, b, way))
		return TLS;
	if (way == EGRESS && http_answer(b)) {
		p->asks = false;
		ask(p, 0);
		return HTTP;
	}
	return UNKNOWN;
}

#endif
