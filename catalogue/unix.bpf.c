//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What was sent and read over AF_UNIX sockets, at the return of each call. The owner is
 * who calls: an accepted socket is made by the client that connects, and pairs are
 * handed to children. */
#include "vp.h"

#define AF_UNIX 1
enum { SOCK_STREAM = 1, SOCK_DGRAM, SOCK_SEQPACKET = 5 };
#define MSG_PEEK 2

const volatile u64 on_unix_bytes, on_unix_messages;

enum { IN, OUT, DIRECTIONS };
struct unix_cell {
	u64 unix_bytes[DIRECTIONS], unix_messages[DIRECTIONS];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct unix_cell);
} unix_cells SEC(".maps");

/* A datagram may be empty; of a stream, nothing read is its end. */
static __always_inline int moved(struct sock *sk, u32 direction, int bytes, int flags)
{
	struct unix_cell *c;
	u32 slot;
	u64 on;

	if (sk->__sk_common.skc_family != AF_UNIX)
		return 0;
	if (bytes < 0 || (!bytes && sk->sk_type == SOCK_STREAM) || (direction == IN && flags & MSG_PEEK))
		return 0;
	slot = vp_task_slot(bpf_get_current_task_btf());
	on = vp_on(slot, on_unix_bytes | on_unix_messages);
	if (!on)
		return 0;
	c = bpf_map_lookup_elem(&unix_cells, &slot);
	if (!c)
		return 0;
	if (on & on_unix_bytes)
		__sync_fetch_and_add(&c->unix_bytes[direction], bytes);
	if (on & on_unix_messages)
		__sync_fetch_and_add(&c->unix_messages[direction], 1);
	return 0;
}

SEC("tp_btf/sock_send_length")
int VP_WINDOWED(unix_send, struct sock *sk, int bytes)
{
	return moved(sk, OUT, bytes, 0);
}

SEC("tp_btf/sock_recv_length")
int VP_WINDOWED(unix_recv, struct sock *sk, int bytes, int flags)
{
	return moved(sk, IN, bytes, flags);
}

/* 6.1 has no such tracepoints. The functions of SOCK_SEQPACKET call those of SOCK_DGRAM,
 * or have them inside: each counts its own type. */
static __always_inline int moved_as(u16 type, struct socket *s, u32 direction, int bytes, int flags)
{
	struct sock *sk = s->sk;

	return sk->sk_type == type ? moved(sk, direction, bytes, flags) : 0;
}

SEC("fexit/unix_stream_sendmsg")
int VP_WINDOWED(unix_stream_sent, struct socket *s, void *message, u64 size, int bytes)
{
	return moved_as(SOCK_STREAM, s, OUT, bytes, 0);
}

SEC("fexit/unix_stream_recvmsg")
int VP_WINDOWED(unix_stream_received, struct socket *s, void *message, u64 size, int flags, int bytes)
{
	return moved_as(SOCK_STREAM, s, IN, bytes, flags);
}

SEC("fexit/unix_dgram_sendmsg")
int VP_WINDOWED(unix_dgram_sent, struct socket *s, void *message, u64 size, int bytes)
{
	return moved_as(SOCK_DGRAM, s, OUT, bytes, 0);
}

SEC("fexit/unix_dgram_recvmsg")
int VP_WINDOWED(unix_dgram_received, struct socket *s, void *message, u64 size, int flags, int bytes)
{
	return moved_as(SOCK_DGRAM, s, IN, bytes, flags);
}

SEC("fexit/unix_seqpacket_sendmsg")
int VP_WINDOWED(unix_seqpacket_sent, struct socket *s, void *message, u64 size, int bytes)
{
	return moved_as(SOCK_SEQPACKET, s, OUT, bytes, 0);
}

SEC("fexit/unix_seqpacket_recvmsg")
int VP_WINDOWED(unix_seqpacket_received, struct socket *s, void *message, u64 size, int flags, int bytes)
{
	return moved_as(SOCK_SEQPACKET, s, IN, bytes, flags);
}
