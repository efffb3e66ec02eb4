//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Packets that the kernel threw away, and TCP connections that were reset. The
 * owner is the packet's socket, where the kernel tells it; softirqs run in any task.
 * What has no full socket (request and time-wait sockets are none) is the node's. */
#include "vp.h"

const volatile u64 on_packet_drops, on_node_packet_drops, on_tcp_resets;

enum { NO_SOCKET, BUFFER, TCP, CHECKSUM, FILTER, ROUTE, QUEUE, OTHER, UNSPECIFIED, CLASSES };
enum { SENT, RECEIVED, DIRECTIONS };

struct netdrop_cell {
	u64 packet_drops[CLASSES], node_packet_drops[CLASSES], tcp_resets[DIRECTIONS];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct netdrop_cell);
} netdrop_cells SEC(".maps");

/* Reasons by class. Their numbers differ from kernel to kernel, and none has all;
 * what is not listed is OTHER. Names are those of 6.1, 6.12 and 6.18. */
#define REASONS(X) \
	X(NO_SOCKET, NO_SOCKET) \
	X(SOCKET_RCVBUFF, BUFFER) \
	X(PROTO_MEM, BUFFER) \
	X(SOCKET_BACKLOG, BUFFER) \
	X(TCP_ZEROWINDOW, BUFFER) \
	X(TCP_OFO_QUEUE_PRUNE, BUFFER) \
	X(NOMEM, BUFFER) \
	X(TCP_LISTEN_OVERFLOW, BUFFER) \
	X(TCP_MD5NOTFOUND, TCP) \
	X(TCP_MD5UNEXPECTED, TCP) \
	X(TCP_MD5FAILURE, TCP) \
	X(TCP_FLAGS, TCP) \
	X(TCP_OLD_DATA, TCP) \
	X(TCP_OVERWINDOW, TCP) \
	X(TCP_OFOMERGE, TCP) \
	X(TCP_RFC7323_PAWS, TCP) \
	X(TCP_INVALID_SEQUENCE, TCP) \
	X(TCP_RESET, TCP) \
	X(TCP_INVALID_SYN, TCP) \
	X(TCP_CLOSE, TCP) \
	X(TCP_FASTOPEN, TCP) \
	X(TCP_OLD_ACK, TCP) \
	X(TCP_TOO_OLD_ACK, TCP) \
	X(TCP_ACK_UNSENT_DATA, TCP) \
	X(TCP_OFO_DROP, TCP) \
	X(TCP_AUTH_HDR, TCP) \
	X(TCP_AONOTFOUND, TCP) \
	X(TCP_AOUNEXPECTED, TCP) \
	X(TCP_AOKEYNOTFOUND, TCP) \
	X(TCP_AOFAILURE, TCP) \
	X(TCP_ABORT_ON_DATA, TCP) \
	X(TCP_OLD_SEQUENCE, TCP) \
	X(TCP_INVALID_ACK_SEQUENCE, TCP) \
	X(TCP_MINTTL, TCP) \
	X(TCP_RFC7323_PAWS_ACK, TCP) \
	X(TCP_RFC7323_TW_PAWS, TCP) \
	X(TCP_RFC7323_TSECR, TCP) \
	X(TCP_INVALID_END_SEQUENCE, TCP) \
	X(TCP_CSUM, CHECKSUM) \
	X(UDP_CSUM, CHECKSUM) \
	X(IP_CSUM, CHECKSUM) \
	X(SKB_CSUM, CHECKSUM) \
	X(ICMP_CSUM, CHECKSUM) \
	X(SOCKET_FILTER, FILTER) \
	X(NETFILTER_DROP, FILTER) \
	X(XFRM_POLICY, FILTER) \
	X(BPF_CGROUP_EGRESS, FILTER) \
	X(TC_EGRESS, FILTER) \
	X(XDP, FILTER) \
	X(TC_INGRESS, FILTER) \
	X(TAP_FILTER, FILTER) \
	X(TAP_TXFILTER, FILTER) \
	X(SECURITY_HOOK, FILTER) \
	X(OTHERHOST, ROUTE) \
	X(IP_RPFILTER, ROUTE) \
	X(UNICAST_IN_L2_MULTICAST, ROUTE) \
	X(IP_NOPROTO, ROUTE) \
	X(IP_OUTNOROUTES, ROUTE) \
	X(IPV6DISABLED, ROUTE) \
	X(NEIGH_CREATEFAIL, ROUTE) \
	X(NEIGH_FAILED, ROUTE) \
	X(NEIGH_QUEUEFULL, ROUTE) \
	X(NEIGH_DEAD, ROUTE) \
	X(UNHANDLED_PROTO, ROUTE) \
	X(IP_INADDRERRORS, ROUTE) \
	X(IP_INNOROUTES, ROUTE) \
	X(IP_LOCAL_SOURCE, ROUTE) \
	X(IP_INVALID_SOURCE, ROUTE) \
	X(IP_LOCALNET, ROUTE) \
	X(IP_INVALID_DEST, ROUTE) \
	X(QDISC_DROP, QUEUE) \
	X(CPU_BACKLOG, QUEUE) \
	X(DEV_READY, QUEUE) \
	X(FULL_RING, QUEUE) \
	X(FQ_BAND_LIMIT, QUEUE) \
	X(FQ_HORIZON_LIMIT, QUEUE) \
	X(FQ_FLOW_LIMIT, QUEUE) \
	X(QDISC_OVERLIMIT, QUEUE) \
	X(QDISC_CONGESTED, QUEUE) \
	X(CAKE_FLOOD, QUEUE) \
	X(NOT_SPECIFIED, UNSPECIFIED) \
	X(SOCKET_CLOSE, UNSPECIFIED) \
	X(QUEUE_PURGE, UNSPECIFIED)

#define DECLARE(name, class) SKB_DROP_REASON_##name,
enum skb_drop_reason {
	REASONS(DECLARE)
};

static __always_inline u32 class_of(u64 reason)
{
#define COMPARE(name, class)                                                                    \
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_##name) &&         \
	    reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_##name))        \
		return class;
	REASONS(COMPARE)
	return OTHER;
}

/* include/net/tcp_states.h: these have no cgroup */
enum { TIME_WAIT = 6, NEW_SYN_RECV = 12 };

/* The slot of a full socket's cgroup; false for any other, and NULL. All is read as
 * if it could fault: 6.18 wants the comparison, 6.12 takes arguments of tracepoints
 * for never NULL and may drop it. */
static __always_inline bool full_slot(const struct sock *sk, u32 *slot)
{
	u8 state;
	u64 id;

	if (!sk)
		return false;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (!state || state == TIME_WAIT || state == NEW_SYN_RECV)
		return false;
	id = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
	if (!id) /* a kernel's own socket, or no network cgroup */
		return false;
	*slot = vp_slot_of(id);
	return true;
}

struct sk_buff___owned {
	struct sock *sk;
} __attribute__((preserve_access_index));

static __always_inline int dropped(const struct sock *receiver, void *skb, u64 reason)
{
	struct netdrop_cell *c;
	u32 slot = VP_NODE;
	bool owned;
	u64 on;

	owned = full_slot(receiver, &slot) || full_slot(BPF_CORE_READ((struct sk_buff___owned *)skb, sk), &slot);
	on = vp_on(slot, owned ? on_packet_drops : on_node_packet_drops);
	if (!on)
		return 0;
	c = bpf_map_lookup_elem(&netdrop_cells, &slot);
	if (!c)
		return 0;
	if (owned)
		__sync_fetch_and_add(&c->packet_drops[class_of(reason)], 1);
	else
		__sync_fetch_and_add(&c->node_packet_drops[class_of(reason)], 1);
	return 0;
}

/* 6.12 tells the receiving socket, 6.1 does not: its verifier refuses this one. */
SEC("tp_btf/kfree_skb")
int VP_WINDOWED(netdrop_free, void *skb, void *location, u64 reason, struct sock *receiver)
{
	return dropped(receiver, skb, (u32)reason);
}

SEC("tp_btf/kfree_skb")
int VP_WINDOWED(netdrop_free_unknown, void *skb, void *location, u64 reason)
{
	return dropped(NULL, skb, (u32)reason);
}

static __always_inline int reset(const struct sock *sk, u32 direction)
{
	struct netdrop_cell *c;
	u32 slot;

	if (!full_slot(sk, &slot) || !vp_on(slot, on_tcp_resets))
		return 0;
	c = bpf_map_lookup_elem(&netdrop_cells, &slot);
	if (c)
		__sync_fetch_and_add(&c->tcp_resets[direction], 1);
	return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(netdrop_reset_sent, const struct sock *sk)
{
	return reset(sk, SENT);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(netdrop_reset_received, const struct sock *sk)
{
	return reset(sk, RECEIVED);
}
