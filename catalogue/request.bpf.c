//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Requests without a look at their bytes: who sends when. On a connection that the
 * target accepted, a request is what its peer sent, from the arrival of the first
 * segment over the first read to the return of the first send; on one that it
 * opened, from the return of the first send to the arrival of the first answer.
 *
 * The state is in the socket's storage. Listeners have storage, which their
 * children inherit, and keep until the first read if the reader does not want it:
 * only then is it known whose they are. So most sockets of no interest have none,
 * and what fires for each segment and message of the node ends with one failed
 * look-up. */
#include "tcp.h"

#define MSG_PEEK 2          /* include/linux/socket.h */
#define MSG_ERRQUEUE 0x2000

const volatile u64 on_requests, on_request_latency, on_request_wait, on_outbound_requests, on_outbound_latency;

VP_HISTOGRAM(request_latency);
VP_HISTOGRAM(request_wait);
VP_HISTOGRAM(outbound_latency);

/* A cache line each: targets that talk to each other run on different CPUs. */
struct request_cell {
	u64 requests, outbound_requests;
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct request_cell);
} request_cells SEC(".maps");

enum role { UNKNOWN, LISTENER, PASSIVE, ACTIVE };
enum state { IDLE, READ, SENT }; /* passive: IDLE, READ; active: IDLE, SENT */

struct request_socket {
	u64 start;
	u64 arrived;   /* the first segment since the last read; 0: none */
	u64 departed;  /* active: when the last segment before arrived was sent ... */
	u32 write_seq; /* ... and what had been written by then */
	u32 state, slot, gen, epoch;
	u32 role;
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct request_socket);
} request_sockets SEC(".maps");

/* Ports that had a listener in a pass over descriptors, by its number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct vp_port);
	__type(value, u32);
} request_ports SEC(".maps");

u32 vp_epoch;   /* grows with each attachment */
u32 vp_passing; /* number of the latest pass over descriptors ... */
u32 vp_pass;    /* ... and of the latest that is complete */

static __always_inline u64 passive_families(void)
{
	return on_requests | on_request_latency | on_request_wait;
}

static __always_inline u64 active_families(void)
{
	return on_outbound_requests | on_outbound_latency;
}

static __always_inline void forget(struct request_socket *l)
{
	l->arrived = 0;
	l->state = IDLE;
	l->epoch = vp_epoch;
}

static __always_inline struct request_socket *find(struct sock *sk)
{
	struct request_socket *l;
	struct vp_port p;
	u32 *listened;

	if (!sk->sk_bpf_storage) /* of no object: saves the call */
		return NULL;
	l = bpf_sk_storage_get(&request_sockets, sk, 0, 0);
	if (!l)
		return NULL;
	if (l->epoch != vp_epoch)
		forget(l);
	if (l->role == UNKNOWN) {
		if (vp_pass != vp_passing) /* not all listeners are known yet */
			return NULL;
		p = vp_port_of(sk);
		listened = bpf_map_lookup_elem(&request_ports, &p);
		l->role = listened && *listened == vp_pass ? PASSIVE : ACTIVE;
	}
	return l;
}

static __always_inline struct request_socket *make(void *sk, u32 role)
{
	struct request_socket *l = bpf_sk_storage_get(&request_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!l) {
		vp_fail();
		return NULL;
	}
	forget(l);
	l->role = role;
	return l;
}

/* The current task's target becomes the owner if it wants any of the families; the
 * families that it wants. */
static __always_inline u64 claim(struct request_socket *l, u64 families)
{
	u32 slot = vp_task_slot(bpf_get_current_task_btf());
	struct vp_slot *s = bpf_map_lookup_elem(&vp_slots, &slot);

	if (!s || !(vp_switches(s) & families))
		return 0;
	l->slot = slot;
	l->gen = s->gen;
	return vp_switches(s);
}

/* What the owner wants; the remainder is the owner once that one is gone. */
static __always_inline u64 wanted(struct request_socket *l)
{
	struct vp_slot *s = bpf_map_lookup_elem(&vp_slots, &l->slot);

	if (s && s->gen == l->gen)
		return vp_switches(s);
	l->slot = VP_REMAINDER;
	l->gen = vp_gen(VP_REMAINDER);
	return vp_on(VP_REMAINDER, ~0ULL);
}

static __always_inline void count(struct request_socket *l, u64 *(*member)(struct request_cell *))
{
	struct request_cell *c = bpf_map_lookup_elem(&request_cells, &l->slot);

	if (c)
		__sync_fetch_and_add(member(c), 1);
}

static __always_inline u64 *requests_of(struct request_cell *c) { return &c->requests; }
static __always_inline u64 *outbound_requests_of(struct request_cell *c) { return &c->outbound_requests; }

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(request_state, struct sock *sk, int from, int to)
{
	struct request_socket *l;
	struct vp_port p;

	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (to == SYN_SENT) { /* connect runs in its caller */
		if (vp_on(vp_task_slot(bpf_get_current_task_btf()), active_families()))
			make(sk, ACTIVE);
	} else if (to == LISTEN) {
		make(sk, LISTENER);
	} else if (to == ESTABLISHED && from == SYN_RECV) {
		l = bpf_sk_storage_get(&request_sockets, sk, 0, 0);
		if (!l || l->role != ACTIVE) /* both sides may open at once */
			make(sk, PASSIVE);
	} else if (to == CLOSE && from == LISTEN) {
		p = vp_port_of(sk);
		bpf_map_delete_elem(&request_ports, &p);
	}
	return 0;
}

/* Is there payload that we have not had yet? The control block is filled before
 * tcp_rcv_established (net/ipv4/tcp_ipv4.c: tcp_v4_fill_cb); its end counts a FIN
 * as one byte. */
static __always_inline bool payload(struct tcp_sock *tp, struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)skb->cb;
	u32 end = cb->end_seq, len = end - cb->seq;
	u8 offset = 0;

	if (!len || (s32)(end - tp->rcv_nxt) <= 0)
		return false;
	if (len > 1)
		return true;
	bpf_probe_read_kernel(&offset, 1, skb->data + 12); /* struct tcphdr: doff */
	return skb->len > (offset >> 4) * 4;
}

static __always_inline void answered(struct request_socket *l, u64 ns)
{
	u64 on = wanted(l);

	if (on & on_outbound_requests)
		count(l, outbound_requests_of);
	if (on & on_outbound_latency)
		vp_observe(&outbound_latency, l->slot, 0, 1, ns);
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(request_probe, struct sock *sk, struct sk_buff *skb)
{
	struct request_socket *l = find(sk);
	struct tcp_sock *tp;
	u64 now;

	if (!l || (l->arrived && l->state != SENT))
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !payload(tp, skb))
		return 0;
	now = bpf_ktime_get_ns();
	if (l->role == PASSIVE) {
		l->arrived = now;
		return 0;
	}
	if (!l->arrived) {
		l->departed = tp->tcp_wstamp_ns;
		l->write_seq = tp->write_seq;
		__sync_lock_test_and_set(&l->arrived, now);
	}
	if (l->state == SENT && __sync_val_compare_and_swap(&l->state, SENT, IDLE) == SENT)
		answered(l, now - l->start);
	return 0;
}

static __always_inline int received(struct sock *sk, int ret, int flags)
{
	struct request_socket *l;
	u64 arrived, on;

	if (ret <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	l = find(sk);
	if (!l)
		return 0;
	arrived = l->arrived;
	l->arrived = 0;
	if (l->role != PASSIVE || l->state == READ)
		return 0;
	on = claim(l, passive_families());
	if (!on) {
		bpf_sk_storage_delete(&request_sockets, sk);
		return 0;
	}
	/* Nothing arrived since the last read: it is the rest of what had come before. */
	l->start = arrived ? arrived : bpf_ktime_get_ns();
	l->state = READ;
	if (arrived && on & on_request_wait)
		vp_observe(&request_wait, l->slot, 0, 1, bpf_ktime_get_ns() - arrived);
	return 0;
}

/* This hook comes after the send. The peer may have answered before it: the answer
 * came when more had been written than before this send. It was sent at departed
 * or a little earlier. */
static __always_inline void overtaken(struct sock *sk, struct request_socket *l, int ret)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!tp || (s32)(l->write_seq - (tp->write_seq - ret)) <= 0)
		return;
	if (__sync_val_compare_and_swap(&l->state, SENT, IDLE) == SENT)
		answered(l, l->arrived > l->departed ? l->arrived - l->departed : 0);
}

static __always_inline int sent(struct sock *sk, int ret)
{
	struct request_socket *l;
	u64 on;

	if (ret <= 0)
		return 0;
	l = find(sk);
	if (!l)
		return 0;
	if (l->role == PASSIVE) {
		if (l->state != READ || __sync_lock_test_and_set(&l->state, IDLE) != READ)
			return 0;
		on = wanted(l);
		if (on & on_requests)
			count(l, requests_of);
		if (on & on_request_latency)
			vp_observe(&request_latency, l->slot, 0, 1, bpf_ktime_get_ns() - l->start);
		return 0;
	}
	if (l->state == SENT)
		return 0;
	if (!claim(l, active_families())) {
		bpf_sk_storage_delete(&request_sockets, sk);
		return 0;
	}
	l->start = bpf_ktime_get_ns();
	__sync_lock_test_and_set(&l->state, SENT);
	if (l->arrived)
		overtaken(sk, l, ret);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(request_recv, struct sock *sk, int ret, int flags)
{
	return received(sk, ret, flags);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(request_send, struct sock *sk, int ret, int flags)
{
	return sent(sk, ret);
}

/* Before 6.4 (6e6eda44b939) there are no sock_*_length. kTLS and sendfile do not pass here. */
SEC("fexit/tcp_recvmsg")
int BPF_PROG(request_tcp_recv, struct sock *sk, void *msg, unsigned long len, int flags, int *addr_len, int ret)
{
	return received(sk, ret, flags);
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(request_tcp_send, struct sock *sk, void *msg, unsigned long size, int ret)
{
	return sent(sk, ret);
}

/* A pass over all descriptors: sockets that are older than we, or than their
 * target's wish. */
SEC("iter/task_file")
int request_pass(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct sock *sk = vp_held_sock(t, ctx->file);
	struct vp_port p;
	struct tcp_sock *tp;
	bool listens;

	if (!sk)
		return 0;
	listens = sk->__sk_common.skc_state == LISTEN;
	if (listens) {
		p = vp_port_of(sk);
		if (bpf_map_update_elem(&request_ports, &p, &vp_passing, BPF_ANY))
			vp_fail();
	} else if (sk->__sk_common.skc_state != ESTABLISHED && sk->__sk_common.skc_state != CLOSE_WAIT) {
		return 0;
	}
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	if (bpf_sk_storage_get(&request_sockets, tp, 0, 0))
		return 0;
	if (listens || vp_on(vp_task_slot(t), passive_families() | active_families()))
		make(tp, listens ? LISTENER : UNKNOWN);
	return 0;
}
