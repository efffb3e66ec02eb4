//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel types that we read: every member here is a fact we rely on. Offsets
 * come from the running kernel's BTF (CO-RE), so the order and the rest of each
 * type do not matter. */
#ifndef VP_KERNEL_H
#define VP_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
};
struct cgroup_root {
	int hierarchy_id;
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};
struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};
struct css_set {
	struct cgroup *dfl_cgrp;
};

struct rq {
	u64 clock;
};
struct cfs_rq {
	struct rq *rq;
	u64 throttled_clock_self_time;
};
struct cfs_rq___before_6_6 {
	u64 throttled_clock_pelt_time;
};
struct sched_entity {
	u64 sum_exec_runtime;
	u64 nr_migrations;
	struct cfs_rq *cfs_rq;
};
struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
	unsigned long long last_arrival;
	unsigned long long last_queued;
};
struct task_io_accounting {
	u64 rchar, wchar, syscr, syscw;
	u64 read_bytes, write_bytes;
};
struct inode {
	u16 i_mode;
};
struct file {
	struct inode *f_inode;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};
struct files_struct {
	struct fdtable *fdt;
};
struct rlimit {
	unsigned long rlim_cur;
};
struct signal_struct {
	struct rlimit rlim[16];
	struct {
		int counter;
	} live;
	int group_exit_code;
	unsigned int flags;
};
struct task_struct {
	int pid, tgid, exit_state, exit_code, on_cpu;
	unsigned int __state;
	u64 start_time;
	unsigned long nvcsw, nivcsw, min_flt, maj_flt;
	struct sched_entity se;
	struct sched_info sched_info;
	struct task_io_accounting ioac;
	struct css_set *cgroups;
	struct task_struct *real_parent, *group_leader;
	struct signal_struct *signal;
	struct files_struct *files;
};

/* Registers at a system call, and which kind of call it is, by architecture. */
struct pt_regs___x86 {
	unsigned long di, si, orig_ax;
};
struct pt_regs___arm64 {
	u64 regs[31];
	s32 syscallno;
};
struct task_struct___x86 {
	struct {
		u32 status;
	} thread_info;
};
struct task_struct___arm64 {
	struct {
		unsigned long flags;
	} thread_info;
};

struct in6_addr {
	union {
		u32 u6_addr32[4];
	} in6_u;
};
struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	u32 skc_daddr, skc_rcv_saddr;
	u16 skc_dport, skc_num; /* of both only the second is in the host's order */
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	unsigned long skc_flags;
	struct {
		struct net *net;
	} skc_net;
};
struct bpf_local_storage;
struct sock_cgroup_data {
	struct cgroup *cgroup;
};
struct sock {
	struct sock_common __sk_common;
	u16 sk_type, sk_protocol;
	u32 sk_ack_backlog, sk_max_ack_backlog;
	struct {
		int counter;
	} sk_drops;
	struct {
		u32 qlen;
	} sk_receive_queue;
	struct sock_cgroup_data sk_cgrp_data;
	struct bpf_local_storage *sk_bpf_storage;
};
struct inet_sock {
	u16 inet_sport;
};
struct inet_connection_sock {
	struct inet_sock icsk_inet;
};
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u64 bytes_sent, bytes_retrans, bytes_received, bytes_acked;
	u32 segs_in, segs_out, total_retrans, srtt_us;
	u32 write_seq, snd_una, rcv_nxt, copied_seq;
	u64 tcp_wstamp_ns;
	u32 chrono_start, chrono_stat[3];
	u8 chrono_type : 2;
	bool is_mptcp;
	struct tcp_rack {
		u32 rtt_us;
	} rack;
};
struct mptcp_sock {
	struct sock *first;
};
struct socket {
	struct sock *sk;
};
struct unix_address {
	struct {
		struct {
			int counter;
		} refs;
	} refcnt;
};
struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};
struct sk_buff {
	unsigned int len;
	unsigned char *data;
	char cb[48];
};
struct tcp_skb_cb {
	u32 seq, end_seq;
};

struct blkcg {
	struct cgroup_subsys_state css;
};
struct blkcg_gq {
	struct blkcg *blkcg;
};
struct bio {
	struct blkcg_gq *bi_blkg;
};
struct gendisk {
	char disk_name[32];
};
struct request_queue {
	struct gendisk *disk;
};
struct request {
	struct request_queue *q;
	unsigned int cmd_flags, __data_len;
	u64 start_time_ns;
	struct bio *bio;
};
struct request___before_5_17 {
	struct gendisk *rq_disk;
};

#pragma clang attribute pop

/* The contexts of iterators: their layout is the kernel's ABI (8 bytes a member). */
struct bpf_iter_meta;
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u64 fd;
	struct file *file;
};
struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

/* On the stack of a program that goes through tasks by itself. */
struct bpf_iter_task {
	u64 opaque[3];
};

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#endif
