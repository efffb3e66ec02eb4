//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What the groups that follow TCP sockets share: the kernel's numbers, and for passes
 * over the descriptors of all tasks the way from a descriptor to its socket, and where
 * somebody listens. */
#ifndef VP_TCP_H
#define VP_TCP_H

#include "vp.h"

#define AF_INET 2
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262 /* what Go's net.Listen makes (since 1.24); most children are plain TCP */

/* include/net/tcp_states.h */
enum { ESTABLISHED = 1, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING };

/* A port on which somebody listens: connections to it that are older than we were
 * accepted. */
struct vp_port {
	u64 net; /* address of the network namespace */
	u64 port;
};

/* The local port of a socket that listens or is connected. */
static __always_inline struct vp_port vp_port_of(struct sock *sk)
{
	struct vp_port p = { .net = (u64)sk->__sk_common.skc_net.net, .port = sk->__sk_common.skc_num };

	return p;
}

/* The TCP or MPTCP socket that a task holds by a descriptor; NULL where it holds
 * something else. */
static __always_inline struct sock *vp_held_sock(struct task_struct *t, struct file *file)
{
	struct socket *s;
	struct sock *sk;

	if (!t || !file)
		return NULL;
	s = bpf_sock_from_file(file);
	if (!s)
		return NULL;
	sk = s->sk;
	if (!sk || (sk->sk_protocol != IPPROTO_TCP && sk->sk_protocol != IPPROTO_MPTCP))
		return NULL;
	return sk;
}

#endif
