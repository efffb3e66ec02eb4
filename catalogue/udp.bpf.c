//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What was sent and read over UDP, at the return of each call: the kernel keeps no
 * such count per socket. The owner is the socket, whoever of the target uses it. */
#include "vp.h"

#define IPPROTO_UDP 17
#define AF_INET 2
#define AF_INET6 10
#define MSG_PEEK 2
#define MSG_ERRQUEUE 0x2000

const volatile u64 on_udp_bytes, on_udp_datagrams;

enum { IN, OUT, DIRECTIONS };
struct udp_cell {
	u64 udp_bytes[DIRECTIONS], udp_datagrams[DIRECTIONS];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct udp_cell);
} udp_cells SEC(".maps");

/* A datagram may be empty. */
static __always_inline int moved(struct sock *sk, u32 direction, int bytes, int flags)
{
	struct udp_cell *c;
	u16 family;
	u32 slot;
	u64 on;

	family = sk->__sk_common.skc_family;
	if (sk->sk_protocol != IPPROTO_UDP || (family != AF_INET && family != AF_INET6))
		return 0;
	if (bytes < 0 || (direction == IN && flags & (MSG_PEEK | MSG_ERRQUEUE)))
		return 0;
	slot = vp_slot_of(sk->sk_cgrp_data.cgroup->kn->id);
	on = vp_on(slot, on_udp_bytes | on_udp_datagrams);
	if (!on)
		return 0;
	c = bpf_map_lookup_elem(&udp_cells, &slot);
	if (!c)
		return 0;
	if (on & on_udp_bytes)
		__sync_fetch_and_add(&c->udp_bytes[direction], bytes);
	if (on & on_udp_datagrams)
		__sync_fetch_and_add(&c->udp_datagrams[direction], 1);
	return 0;
}

SEC("tp_btf/sock_send_length")
int VP_WINDOWED(udp_send, struct sock *sk, int bytes)
{
	return moved(sk, OUT, bytes, 0);
}

SEC("tp_btf/sock_recv_length")
int VP_WINDOWED(udp_recv, struct sock *sk, int bytes, int flags)
{
	return moved(sk, IN, bytes, flags);
}

/* 6.1 has no such tracepoints. udpv6_sendmsg hands what is for an IPv4 address to
 * udp_sendmsg: each counts sockets of its own family. */
SEC("fexit/udp_sendmsg")
int VP_WINDOWED(udp_sent, struct sock *sk, void *message, u64 size, int bytes)
{
	return sk->__sk_common.skc_family == AF_INET ? moved(sk, OUT, bytes, 0) : 0;
}

SEC("fexit/udpv6_sendmsg")
int VP_WINDOWED(udp_sent6, struct sock *sk, void *message, u64 size, int bytes)
{
	return moved(sk, OUT, bytes, 0);
}

SEC("fexit/udp_recvmsg")
int VP_WINDOWED(udp_received, struct sock *sk, void *message, u64 size, int flags, void *addr, int bytes)
{
	return sk->__sk_common.skc_family == AF_INET ? moved(sk, IN, bytes, flags) : 0;
}

SEC("fexit/udpv6_recvmsg")
int VP_WINDOWED(udp_received6, struct sock *sk, void *message, u64 size, int flags, void *addr, int bytes)
{
	return moved(sk, IN, bytes, flags);
}
