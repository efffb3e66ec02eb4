//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* The buckets of vp.h, to be asked by a test (BPF_PROG_TEST_RUN). */
#include "vp.h"

struct question {
	u64 value;
	u32 ns, bytes;
};

SEC("syscall")
int bucket(struct question *q)
{
	q->ns = vp_bucket_ns(q->value);
	q->bytes = vp_bucket_bytes(q->value);
	return 0;
}
