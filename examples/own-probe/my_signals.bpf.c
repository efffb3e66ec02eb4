//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Signals that were sent to tasks of the target, by what they are. The sender is
 * the current task; the signal belongs to whoever gets it. docs/own-probes.md
 * explains every part. */
#include "vp.h"

/* One switch for each event family of the rows: the loader writes its bit here. */
const volatile u64 on_my_signals;

/* As many as the row's label has values, in the same order. */
enum { KILL, TERMINATE, CHILD, OTHER, KINDS };

/* One cell for each target. The map is OBJECT_cells, the member the family. */
struct my_signals_cell {
	u64 my_signals[KINDS];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct my_signals_cell);
} my_signals_cells SEC(".maps");

static __always_inline u32 kind_of(int sig)
{
	switch (sig) {
	case 9:
		return KILL;
	case 15:
		return TERMINATE;
	case 17:
		return CHILD;
	}
	return OTHER;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(my_signals_sent, int sig, void *info, struct task_struct *to)
{
	u32 slot = vp_task_slot(to);
	struct my_signals_cell *c;

	if (!vp_on(slot, on_my_signals)) /* nobody wants it of this target: out at once */
		return 0;
	c = bpf_map_lookup_elem(&my_signals_cells, &slot);
	if (c)
		__sync_fetch_and_add(&c->my_signals[kind_of(sig)], 1);
	return 0;
}
