//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel counts of each task anyway, folded into the task's target: by
 * a pass over all tasks each tick, when a task is freed, and when it changes its
 * cgroup. Nothing happens per event. Increases are exact: every fold adds
 * now - xchg(last, now), which telescopes whatever races with it. */
#include "vp.h"

enum { READ, WRITE };
enum { VOLUNTARY, INVOLUNTARY };
enum { MINOR, MAJOR };

/* Totals of a target; threads, processes and open files are set anew by each pass. */
struct task_cell {
	u64 cpu_time, runq_delay, timeslices, migrations;
	u64 context_switches[2]; /* VOLUNTARY, INVOLUNTARY */
	u64 page_faults[2];      /* MINOR, MAJOR */
	u64 syscall_io_bytes[2]; /* READ, WRITE */
	u64 syscall_io_calls[2]; /* READ, WRITE */
	u64 disk_bytes[2];       /* READ, WRITE */
	u64 threads, processes, open_files;
	u64 open_files_used; /* of the fullest process, in billionths of its limit */
	u64 activity; /* grows while any task runs, comes, goes, or waits for IO */
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct task_cell);
} task_cells SEC(".maps");

/* What of a task has been added already, and to whom. The first cache line is all
 * that a task needs which has not run since the last pass. */
struct task_last {
	u64 slices, delay, css; /* css: the css_set for which slot was looked up */
	u32 slot, gen, epoch, map;
	bool settled; /* everything was added when it was not running */
	bool leader, dead;
	u64 run, migrations, nvcsw, nivcsw, min_flt, maj_flt;
	u64 rchar, wchar, syscr, syscw, read, write;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_last);
} task_lasts SEC(".maps");

/* vp_begin: when these programs were attached, in the clock of task->start_time
 * (monotonic); a task that is older is counted from its first visit, a younger one
 * in full. vp_passed: when the last complete pass began, in the same clock. vp_epoch
 * grows with each attachment. */
u64 vp_begin, vp_passed;
u32 vp_epoch;
u32 vp_map; /* grows when user space changes whose a cgroup is */

static __always_inline void fold1(u64 *cell, u64 *last, u64 now)
{
	u64 old = *last;

	if (old == now)
		return;
	old = __sync_lock_test_and_set(last, now);
	__sync_fetch_and_add(cell, now - old);
}

static __always_inline void fold(struct task_struct *t, struct task_last *l, u32 slot)
{
	struct task_cell *c = bpf_map_lookup_elem(&task_cells, &slot);

	if (!c)
		return;
	__sync_fetch_and_add(&c->activity, 1);
	fold1(&c->timeslices, &l->slices, t->sched_info.pcount); /* first: see settled */
	fold1(&c->runq_delay, &l->delay, t->sched_info.run_delay);
	fold1(&c->cpu_time, &l->run, t->se.sum_exec_runtime);
	fold1(&c->migrations, &l->migrations, t->se.nr_migrations);
	fold1(&c->context_switches[VOLUNTARY], &l->nvcsw, t->nvcsw);
	fold1(&c->context_switches[INVOLUNTARY], &l->nivcsw, t->nivcsw);
	fold1(&c->page_faults[MINOR], &l->min_flt, t->min_flt);
	fold1(&c->page_faults[MAJOR], &l->maj_flt, t->maj_flt);
	if (bpf_core_field_exists(t->ioac.rchar)) { /* CONFIG_TASK_XACCT */
		fold1(&c->syscall_io_bytes[READ], &l->rchar, t->ioac.rchar);
		fold1(&c->syscall_io_bytes[WRITE], &l->wchar, t->ioac.wchar);
		fold1(&c->syscall_io_calls[READ], &l->syscr, t->ioac.syscr);
		fold1(&c->syscall_io_calls[WRITE], &l->syscw, t->ioac.syscw);
	}
	if (bpf_core_field_exists(t->ioac.read_bytes)) { /* CONFIG_TASK_IO_ACCOUNTING */
		fold1(&c->disk_bytes[READ], &l->read, t->ioac.read_bytes);
		fold1(&c->disk_bytes[WRITE], &l->write, t->ioac.write_bytes);
	}
}

/* Take what t has counted so far as the start: nobody is charged with it. */
static __always_inline void baseline(struct task_struct *t, struct task_last *l)
{
	l->run = t->se.sum_exec_runtime;
	l->delay = t->sched_info.run_delay;
	l->slices = t->sched_info.pcount;
	l->migrations = t->se.nr_migrations;
	l->nvcsw = t->nvcsw;
	l->nivcsw = t->nivcsw;
	l->min_flt = t->min_flt;
	l->maj_flt = t->maj_flt;
	if (bpf_core_field_exists(t->ioac.rchar)) {
		l->rchar = t->ioac.rchar;
		l->wchar = t->ioac.wchar;
		l->syscr = t->ioac.syscr;
		l->syscw = t->ioac.syscw;
	}
	if (bpf_core_field_exists(t->ioac.read_bytes)) {
		l->read = t->ioac.read_bytes;
		l->write = t->ioac.write_bytes;
	}
}

static __always_inline void own(struct task_last *l, u32 slot)
{
	l->slot = slot;
	l->gen = vp_gen(slot);
	l->epoch = vp_epoch;
	l->settled = false;
}

/* The target that was charged last; the remainder once that one is gone. */
static __always_inline u32 owner(struct task_last *l)
{
	return l->gen == vp_gen(l->slot) ? l->slot : VP_REMAINDER;
}

static __always_inline u32 bits(u64 x)
{
	x -= (x >> 1) & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (x * 0x0101010101010101ULL) >> 56;
}

struct files_pass {
	unsigned long *open;
	u64 count;
};

static long count_files(u32 i, struct files_pass *p)
{
	unsigned long word = 0;

	if (bpf_probe_read_kernel(&word, sizeof(word), p->open + i))
		return 1;
	p->count += bits(word);
	return 0;
}

/* Open descriptors of a process: set bits of its table, the first 2^18 of it. */
#define MAX_WORDS 4096
static __always_inline u64 open_files(struct task_struct *t)
{
	struct files_struct *files = t->files;
	struct files_pass p = {};
	struct fdtable *fdt;
	u32 words;

	if (!files)
		return 0;
	fdt = files->fdt;
	p.open = fdt->open_fds;
	words = (fdt->max_fds + 63) / 64;
	bpf_loop(words < MAX_WORDS ? words : MAX_WORDS, count_files, &p, 0);
	return p.count;
}

#define RLIMIT_NOFILE 7
static __always_inline void count_open_files(struct task_struct *t, struct task_cell *c)
{
	u64 open = open_files(t), limit = t->signal->rlim[RLIMIT_NOFILE].rlim_cur, used;

	c->open_files += open;
	used = limit ? open * 1000000000 / limit : 0;
	if (used > c->open_files_used)
		c->open_files_used = used;
}

static __always_inline bool running(struct task_struct *t)
{
	return !bpf_core_field_exists(t->on_cpu) || t->on_cpu; /* CONFIG_SMP */
}

/* What a task has counted changes only while it runs, and it cannot run without
 * another time slice. It was added in full if it ran neither before nor after. */
static __always_inline bool settled(struct task_struct *t, struct task_last *l)
{
	return l->settled && l->epoch == vp_epoch && l->slices == t->sched_info.pcount &&
	       l->delay == t->sched_info.run_delay && !running(t) &&
	       l->css == (u64)t->cgroups && l->map == vp_map && l->gen == vp_gen(l->slot);
}

static __always_inline void visit(struct task_struct *t, struct task_last *l)
{
	u32 slot = vp_task_slot(t);
	bool ran;

	if (l->epoch != vp_epoch) {
		if (l->epoch || t->start_time < vp_begin)
			baseline(t, l);
		own(l, slot);
	} else if (l->slot != slot || l->gen != vp_gen(slot)) {
		own(l, slot); /* a thread that moved with its group: at most one interval goes to the new target */
	}
	l->css = (u64)t->cgroups;
	l->map = vp_map;
	l->leader = t->pid == t->tgid;
	l->dead = t->exit_state;
	ran = running(t);
	fold(t, l, slot);
	l->settled = !ran && !running(t) && l->slices == t->sched_info.pcount;
}

/* As /proc/PID/stat shows D: idle threads of the kernel wait in the same way, but for
 * nothing (include/linux/sched.h). */
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_NOLOAD 0x0400
static __always_inline bool waits_for_io(struct task_struct *t)
{
	u32 state = t->__state;

	return state & TASK_UNINTERRUPTIBLE && !(state & TASK_NOLOAD);
}

static __always_inline void pass(struct task_struct *t)
{
	struct task_last *l = bpf_task_storage_get(&task_lasts, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct task_cell *c;
	u32 slot;

	if (!l) {
		vp_fail();
		return;
	}
	if (!settled(t, l))
		visit(t, l);
	slot = l->slot;
	c = bpf_map_lookup_elem(&task_cells, &slot);
	if (!c || l->dead)
		return;
	c->threads++; /* only passes set these, and they do not overlap */
	if (waits_for_io(t))
		__sync_fetch_and_add(&c->activity, 1);
	if (l->leader) {
		c->processes++;
		count_open_files(t, c);
	}
}

SEC("iter/task")
int task_tick(struct bpf_iter__task *ctx)
{
	if (ctx->task)
		pass(ctx->task);
	return 0;
}

/* Since 6.7 (c68a78ffe2cb) a program can follow the kernel's own list of threads, which
 * spares it a struct pid for each: half of a pass over tasks that sleep. It cannot be
 * preempted meanwhile, so user space runs task_tick in its place where there are many. */
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
#define BPF_TASK_ITER_ALL_THREADS 1

/* One element: the walk is run once. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} task_once SEC(".maps");

SEC("iter/bpf_map_elem")
int task_walk(struct bpf_iter__bpf_map_elem *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *t;

	if (!ctx->key)
		return 0;
	bpf_iter_task_new(&it, NULL, BPF_TASK_ITER_ALL_THREADS);
	while ((t = bpf_iter_task_next(&it)))
		if (t->pid) /* the list begins with an idle CPU's task, which nobody's pass sees */
			pass(t);
	bpf_iter_task_destroy(&it);
	return 0;
}

/* Since 6.2 (e8b02296a6b8, with cgroup storage: c4bcfb38a95e) a look at storage
 * succeeds where it is busy, and only making it fails: none means never visited. */
enum bpf_func_id___since_6_2 { BPF_FUNC_cgrp_storage_get___since_6_2 = 210 };
#define NONE_MEANS_NEW bpf_core_enum_value_exists(enum bpf_func_id___since_6_2, BPF_FUNC_cgrp_storage_get___since_6_2)

/* The last of a task: everything it will ever count has been counted, and its
 * css_set still holds its cgroup (kernel/exit.c: delayed_put_task_struct). One that
 * no pass has visited gets its storage here: before 6.2 only so is "never visited"
 * told from "storage busy". Where it is busy, we have interrupted a pass, and age
 * tells of most: what began after the last complete pass was not visited by it, and
 * by this one hardly, out of whose sight it has waited for its grace period. An
 * older task may have been visited or not. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(task_free, struct task_struct *t)
{
	struct task_last *l = bpf_task_storage_get(&task_lasts, t, 0, NONE_MEANS_NEW ? 0 : BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct task_last none = {};

	if (l) {
		if (l->epoch == vp_epoch || (!l->epoch && t->start_time >= vp_begin))
			fold(t, l, vp_task_slot(t));
	} else if (t->start_time >= (NONE_MEANS_NEW ? vp_begin : vp_passed)) {
		fold(t, &none, vp_task_slot(t));
	} else if (!NONE_MEANS_NEW) {
		vp_fail();
	}
	return 0;
}

/* The task is in dst_cgrp already; what it counted before belongs to the old
 * target. One that was never visited counts for where its parent is. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(task_attach, struct cgroup *dst_cgrp, const char *path, struct task_struct *t)
{
	struct task_last *l;
	u32 old;

	if (dst_cgrp->root->hierarchy_id)
		return 0;
	l = bpf_task_storage_get(&task_lasts, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!l) {
		vp_fail();
		return 0;
	}
	if (l->epoch == vp_epoch) {
		old = owner(l);
	} else {
		if (l->epoch || t->start_time < vp_begin)
			baseline(t, l);
		old = vp_task_slot(t->real_parent);
	}
	own(l, vp_slot_of(dst_cgrp->kn->id));
	fold(t, l, old);
	return 0;
}
