//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Look-ups in the page cache and what had to be put into it. The owner is the task
 * that looks and fills, which is the current one: pages that another task read
 * ahead are that task's misses and this one's hits. */
#include "vp.h"

/* include/linux/mm_types.h: enum vm_fault_reason */
#define VM_FAULT_SIGBUS 2

const volatile u64 on_page_cache_lookups, on_page_cache_misses;

enum { READ, FAULT, WAYS };
/* Per CPU. */
struct pagecache_cell {
	u64 page_cache_lookups[WAYS], page_cache_misses;
} __attribute__((aligned(64)));
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct pagecache_cell);
} pagecache_cells SEC(".maps");

/* Names of one member, which tells how many pages a large folio has: 6.12 and 6.18. */
struct folio___old {
	unsigned int _folio_nr_pages;
} __attribute__((preserve_access_index));
struct folio___new {
	unsigned int _nr_pages;
} __attribute__((preserve_access_index));
enum pageflags {
	PG_head,
};

static __always_inline struct pagecache_cell *cell(u64 on)
{
	u32 slot, i;

	slot = vp_task_slot(bpf_get_current_task_btf());
	if (!vp_on(slot, on))
		return NULL;
	i = slot * vp_copies + bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&pagecache_cells, &i);
}

/* These programs may be preempted where they hang on functions: atomic. */
static __always_inline int looked(u32 way)
{
	struct pagecache_cell *c = cell(on_page_cache_lookups);

	if (c)
		__sync_fetch_and_add(&c->page_cache_lookups[way], 1);
	return 0;
}

SEC("tp_btf/mm_filemap_get_pages")
int VP_WINDOWED(pagecache_read)
{
	return looked(READ);
}

SEC("tp_btf/mm_filemap_fault")
int VP_WINDOWED(pagecache_fault)
{
	return looked(FAULT);
}

/* 6.1 has no such tracepoints, 6.12 has. */
SEC("fexit/filemap_get_pages")
int VP_WINDOWED(pagecache_read_returned, void *iocb, void *iter, void *batch, int ret)
{
	return ret ? 0 : looked(READ);
}

SEC("fexit/filemap_fault")
int VP_WINDOWED(pagecache_fault_returned, void *vmf, unsigned int ret)
{
	return ret & VM_FAULT_SIGBUS ? 0 : looked(FAULT);
}

static __always_inline u64 pages_of(void *folio)
{
	u64 flags = 0;

	/* The flags are the first word; 6.18 wraps it in a structure. */
	if (bpf_probe_read_kernel(&flags, sizeof(flags), folio))
		return 1;
	if (!(flags & 1ULL << bpf_core_enum_value(enum pageflags, PG_head)))
		return 1;
	if (bpf_core_field_exists(((struct folio___new *)0)->_nr_pages))
		return BPF_CORE_READ((struct folio___new *)folio, _nr_pages);
	return BPF_CORE_READ((struct folio___old *)folio, _folio_nr_pages);
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int VP_WINDOWED(pagecache_add, void *folio)
{
	struct pagecache_cell *c = cell(on_page_cache_misses);

	if (c)
		__sync_fetch_and_add(&c->page_cache_misses, pages_of(folio));
	return 0;
}
