//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* Whose a connection is, and what its target wants to know. */
#ifndef VP_PROTOCOL_OWNER_H
#define VP_PROTOCOL_OWNER_H

#include "protocol.h"

u32 vp_passing; /* number of the latest pass over descriptors ... */
u32 vp_pass;    /* ... and of the latest that is complete */

static __always_inline u64 families(void)
{
	return on_protocol_requests | on_protocol_latency | on_outbound_protocol_requests | on_outbound_protocol_latency;
}

static __always_inline u32 owner(struct connection *c, u64 maker)
{
	if (c->owned && c->gen == vp_gen(c->slot))
		return c->slot;
	return vp_slot_of(maker);
}

static __always_inline void give(struct connection *c, u32 slot)
{
	c->slot = slot;
	c->gen = vp_gen(slot);
	c->owned = true;
}

/* Whose the socket is now: another's once no task of its owner holds it any more. */
static __always_inline u32 settle(struct connection *c, u64 maker)
{
	if (c->other == vp_pass && c->mine != vp_pass && vp_pass) {
		give(c, c->other_slot);
		c->mine = vp_pass;
	}
	return owner(c, maker);
}

static __always_inline u64 wanted(u32 slot, struct connection *c)
{
	struct vp_slot *s = bpf_map_lookup_elem(&vp_slots, &slot);
	u64 mask = families();

	if (!s)
		return 0;
	if (c && c->protocol)
		mask = c->server ? on_protocol_requests | on_protocol_latency : on_outbound_protocol_requests | on_outbound_protocol_latency;
	return vp_switches(s) & mask;
}

#endif
