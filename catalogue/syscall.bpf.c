//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* System calls, by class. The task that calls is current. A call is counted when it
 * begins: some never return (exit), and some return twice (fork). */
#include "vp.h"
#include "syscall.h"

#define EINTR 4
#define EAGAIN 11
#define ETIMEDOUT 110
#define MAX_ERRNO 4095
/* include/linux/errno.h: the call may be started again without the program knowing */
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516
/* include/uapi/linux/futex.h: what waits, less the flags */
#define FUTEX_CMD_MASK 127
enum { FUTEX_WAIT = 0, FUTEX_LOCK_PI = 6, FUTEX_WAIT_BITSET = 9, FUTEX_WAIT_REQUEUE_PI = 11, FUTEX_LOCK_PI2 = 13 };
/* The same number on all architectures */
enum { NR_FUTEX_WAITV = 449, NR_FUTEX_WAKE = 454, NR_FUTEX_WAIT = 455, NR_FUTEX_REQUEUE = 456 };
/* arch/x86/include/asm/thread_info.h, arch/arm64/include/asm/thread_info.h */
#define TS_COMPAT 2
#define TIF_32BIT (1 << 22)
/* include/uapi/linux/stat.h */
#define S_IFMT 0170000
#define S_IFREG 0100000

const volatile u64 on_syscalls, on_syscall_errors, on_syscall_latency, on_futex_wait, on_file_latency;

VP_HISTOGRAM(syscall_latency);
VP_HISTOGRAM(futex_wait);
VP_HISTOGRAM(file_latency);

/* Per CPU. */
struct syscall_cell {
	u64 syscalls[CLASSES], syscall_errors[CLASSES];
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct syscall_cell);
} syscall_cells SEC(".maps");

/* The call that a task is in. What began under other switches (epoch: of links,
 * switched: of the slot) may be another call than the one that ends. */
struct syscall_task {
	u64 began;
	u32 class, slot, switched, epoch, operation;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct syscall_task);
} syscall_tasks SEC(".maps");

u32 vp_epoch; /* grows with each attachment */

#define X86(regs) ((struct pt_regs___x86 *)(regs))
#define ARM64(regs) ((struct pt_regs___arm64 *)(regs))
#define ON_X86 bpf_core_field_exists(struct pt_regs___x86, orig_ax)

static __always_inline bool compat(struct task_struct *t)
{
	if (ON_X86)
		return ((struct task_struct___x86 *)t)->thread_info.status & TS_COMPAT;
	return ((struct task_struct___arm64 *)t)->thread_info.flags & TIF_32BIT;
}

static __always_inline long number_of(struct pt_regs *regs)
{
	return ON_X86 ? (long)X86(regs)->orig_ax : ARM64(regs)->syscallno;
}

/* Numbers of 32-bit programs are others. */
static __always_inline u32 class_of(struct task_struct *t, u64 nr)
{
	u8 class;

	if (nr >= VP_CALLS || compat(t))
		return OTHER;
	class = ON_X86 ? vp_calls_x86[nr] : vp_calls_arm64[nr];
	return class ? class - 1 : OTHER;
}

/* What is done with a file. Calls that move data between two descriptors are none of
 * it: which of them waits cannot be told. */
enum { FILE_READ, FILE_WRITE, FILE_OPEN, FILE_FSYNC, OPERATIONS, NO_FILE = OPERATIONS };

static __always_inline u32 operation_on_x86(u64 nr)
{
	switch (nr) {
	case 0: case 17: case 19: case 295: case 327: return FILE_READ;
	case 1: case 18: case 20: case 296: case 328: return FILE_WRITE;
	case 74: case 75: return FILE_FSYNC;
	}
	return NO_FILE;
}

static __always_inline u32 operation_on_arm64(u64 nr)
{
	switch (nr) {
	case 63: case 65: case 67: case 69: case 286: return FILE_READ;
	case 64: case 66: case 68: case 70: case 287: return FILE_WRITE;
	case 82: case 83: return FILE_FSYNC;
	}
	return NO_FILE;
}

static __always_inline bool regular(struct task_struct *t, u64 fd)
{
	struct file *file = NULL;
	struct fdtable *table;

	if (!t->files)
		return false;
	table = t->files->fdt;
	if (fd >= table->max_fds || bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd) || !file)
		return false;
	return (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFREG;
}

/* What the call does with a regular file; whether an open finds one, its end tells. */
static __always_inline u32 operation_of(struct task_struct *t, struct pt_regs *regs, u64 nr, u32 class)
{
	u32 operation;

	if (class == OPEN)
		return FILE_OPEN;
	if (class != READ && class != WRITE)
		return NO_FILE;
	operation = ON_X86 ? operation_on_x86(nr) : operation_on_arm64(nr);
	if (operation != NO_FILE && regular(t, ON_X86 ? X86(regs)->di : ARM64(regs)->regs[0]))
		return operation;
	return NO_FILE;
}

static __always_inline struct syscall_cell *cell(u32 slot)
{
	u32 i = slot * vp_copies + bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&syscall_cells, &i);
}

/* Made where it is not there at the end of a call too: before 6.2 only so is "never
 * called" told from "storage busy". */
static __always_inline struct syscall_task *task(struct task_struct *t)
{
	struct syscall_task *s = bpf_task_storage_get(&syscall_tasks, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!s)
		vp_fail();
	return s;
}

SEC("tp_btf/sys_enter")
int VP_WINDOWED(syscall_enter, struct pt_regs *regs, long nr)
{
	u64 mask = on_syscalls | on_syscall_latency | on_futex_wait | on_file_latency, on;
	struct syscall_cell *c;
	struct syscall_task *s;
	struct task_struct *t;
	u32 slot, class, operation = NO_FILE;

	t = bpf_get_current_task_btf();
	slot = vp_task_slot(t);
	on = vp_on(slot, mask);
	if (!on)
		return 0;
	class = class_of(t, nr);
	if (on & on_syscalls) {
		c = cell(slot);
		if (c && class < CLASSES)
			c->syscalls[class]++;
	}
	if (on & on_file_latency)
		operation = operation_of(t, regs, nr, class);
	if (!(on & on_syscall_latency) && !(on & on_futex_wait && class == FUTEX) && operation == NO_FILE)
		return 0;
	s = task(t);
	if (!s)
		return 0;
	s->class = class;
	s->operation = operation;
	s->slot = slot;
	s->switched = vp_switched(slot);
	s->epoch = vp_epoch;
	s->began = bpf_ktime_get_ns();
	return 0;
}

static __always_inline bool interrupted(long ret)
{
	return ret == -EINTR || (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK);
}

static __always_inline bool failed(long ret)
{
	return ret < 0 && ret >= -MAX_ERRNO && !(ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK);
}

/* Did a call of class FUTEX wait? Its value had changed already at EAGAIN. */
static __always_inline bool waited(struct pt_regs *regs, long nr, long ret)
{
	u32 op;

	if (ret < 0 && ret != -ETIMEDOUT && !interrupted(ret))
		return false;
	if (nr == NR_FUTEX_WAIT || nr == NR_FUTEX_WAITV)
		return true;
	if (nr == NR_FUTEX_WAKE || nr == NR_FUTEX_REQUEUE)
		return false;
	op = (ON_X86 ? X86(regs)->si : ARM64(regs)->regs[1]) & FUTEX_CMD_MASK;
	return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2 || op == FUTEX_WAIT_REQUEUE_PI;
}

static __always_inline void end(struct task_struct *t, struct pt_regs *regs, long nr, long ret, u32 slot, u64 on)
{
	struct syscall_task *s = task(t);
	u64 took;

	if (!s || !s->began)
		return;
	took = bpf_ktime_get_ns() - s->began;
	s->began = 0;
	if (s->epoch != vp_epoch || s->slot != slot || s->switched != vp_switched(slot))
		return;
	if (on & on_syscall_latency)
		vp_observe(&syscall_latency, slot, s->class, CLASSES, took);
	if (on & on_futex_wait && s->class == FUTEX && waited(regs, nr, ret))
		vp_observe(&futex_wait, slot, 0, 1, took);
	if (on & on_file_latency && s->operation < OPERATIONS && (s->operation != FILE_OPEN || (ret >= 0 && regular(t, ret))))
		vp_observe(&file_latency, slot, s->operation, OPERATIONS, took);
}

/* Returning from a signal handler is no call's end: it has no number any more, and
 * its result is that of the call that the signal interrupted. */
SEC("tp_btf/sys_exit")
int VP_WINDOWED(syscall_exit, struct pt_regs *regs, long ret)
{
	u64 mask = on_syscall_errors | on_syscall_latency | on_futex_wait | on_file_latency, on;
	struct syscall_cell *c;
	struct task_struct *t;
	u32 slot, class;
	long nr;

	t = bpf_get_current_task_btf();
	slot = vp_task_slot(t);
	on = vp_on(slot, mask);
	if (!on)
		return 0;
	nr = number_of(regs);
	if (on & on_syscall_errors && failed(ret) && nr >= 0) {
		class = class_of(t, nr);
		c = cell(slot);
		if (c && class < CLASSES)
			c->syscall_errors[class]++;
	}
	if (on & (on_syscall_latency | on_futex_wait | on_file_latency))
		end(t, regs, nr, ret, slot, on);
	return 0;
}
