//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* From a descriptor to its socket, for passes over the descriptors of all tasks. */
#ifndef VP_DESCRIPTOR_H
#define VP_DESCRIPTOR_H

#include "vp.h"

#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262 /* what Go's net.Listen makes (since 1.24); most children are plain TCP */

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
