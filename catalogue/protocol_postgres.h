//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* PostgreSQL's protocol, version 3: messages of a type, a length and that much. */
#ifndef VP_PROTOCOL_POSTGRES_H
#define VP_PROTOCOL_POSTGRES_H

#include "protocol.h"

#define MESSAGE 5 /* bytes of its head */
enum { COUNTED = 1, PENDING }; /* errors */

/* The first message of a connection has no type: its length, then the version. */
static __always_inline bool postgres_startup(const u8 *b, u32 length)
{
	return word(b) == length && word(b + 4) == 3 << 16;
}

/* A query alone in its packet, or messages up to a Sync. */
static __always_inline bool postgres_request(struct packet *p, const u8 *b)
{
	u32 length = p->end - p->at, first = word(b + 1);
	u8 last[MESSAGE];

	if (b[0] == 'Q')
		return first + 1 == length && length > MESSAGE;
	if ((b[0] != 'P' && b[0] != 'B') || first < 4 || first >= length)
		return false;
	return !bpf_skb_load_bytes(p->skb, p->end - MESSAGE, last, MESSAGE) && last[0] == 'S' && word(last + 1) == 4;
}

static __always_inline void postgres_asks(struct packet *p, u8 type)
{
	struct connection *c = p->c;

	switch (type) {
	case 'P': /* Parse */
	case 'B': /* Bind */
		if (!c->begun)
			c->begun = now(p);
		break;
	case 'Q': /* Query */
	case 'F': /* FunctionCall */
	case 'S': /* Sync */
		ask(p, c->begun ? c->begun : now(p));
		c->begun = 0;
	}
}

/* Each request ends with ReadyForQuery. An error before it may be the last that comes
 * (FATAL), and may come before the Sync of its request. */
static __always_inline void postgres_answers(struct packet *p, u8 type)
{
	struct walk *w = p->w;

	if (type == 'E') {
		w->failed = open(p->c) ? COUNTED : PENDING;
		answer(p, ERROR);
	} else if (type == 'Z') {
		if (w->failed != COUNTED)
			answer(p, w->failed ? ERROR : OK);
		w->failed = 0;
	}
}

static long postgres_step(u32 i, struct packet *p)
{
	struct walk *w = p->w;
	u32 loaded, length;

	if (!pass(p))
		return 1;
	loaded = load(p);
	if (!loaded)
		return 1;
	if (loaded < MESSAGE) {
		wait(p, loaded);
		return 1;
	}
	length = word(w->head + 1);
	if (length < 4 || length > 1 << 30) {
		lose(p);
		return 1;
	}
	take(p, MESSAGE);
	w->skip = length - 4;
	if (p->asks)
		postgres_asks(p, w->head[0]);
	else
		postgres_answers(p, w->head[0]);
	return 0;
}

#endif
