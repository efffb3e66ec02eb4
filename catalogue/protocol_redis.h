//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* RESP, Redis's protocol: values one after the other, in both directions. */
#ifndef VP_PROTOCOL_REDIS_H
#define VP_PROTOCOL_REDIS_H

#include "protocol.h"

static __always_inline bool digit(u8 b)
{
	return b >= '0' && b <= '9';
}

/* A command is an array of at most 99 strings; longer ones are seen where a shorter
 * came before. */
static __always_inline bool redis_request(const u8 *b)
{
	const u8 *end = digit(b[2]) ? b + 3 : b + 2;

	return b[0] == '*' && b[1] >= '1' && b[1] <= '9' && end[0] == '\r' && end[1] == '\n' && end[2] == '$' && digit(end[3]);
}

/* The index of the first line feed in eight bytes; 8: there is none. */
static __always_inline u32 line_feed(u64 x)
{
	x ^= 0x0a0a0a0a0a0a0a0aULL;
	x = (x - 0x0101010101010101ULL) & ~x & 0x8080808080808080ULL;
	return x ? vp_bit_of[((x & -x) * VP_DE_BRUIJN) >> 58] >> 3 : 8;
}

/* The length of the line that the walk's head holds; 0: it does not end there. */
__noinline int protocol_line(struct walk *w, u32 loaded)
{
	u64 *words;
	u32 n;

	if (!w)
		return 0;
	words = (u64 *)w->head;
	n = line_feed(words[0]);
	if (n == 8)
		n += line_feed(words[1]);
	return n < HEAD && n < loaded ? n + 1 : 0;
}

/* The number in the line that the walk's head holds: bytes or parts of a value. */
#define NONE (-1) /* the value is null */
#define WRONG (-2)
#define LARGEST (1 << 29) /* 512 MiB: Redis's own limit */
__noinline int protocol_number(struct walk *w, u32 length)
{
	bool wrong = false;
	u32 n = 0, d;

	if (!w)
		return WRONG;
	if (w->head[1] == '-')
		return NONE;
	for (u32 i = 1; i < 11 && i + 2 < length; i++) {
		d = w->head[i] - '0';
		wrong |= d > 9;
		n = n * 10 + d;
	}
	return wrong || n > LARGEST ? WRONG : n;
}

/* What follows a value's first byte (RESP 2 and 3). */
enum { NOTHING, LINE, BYTES, PARTS, PAIRS };
static const u8 redis_kinds[256] = {
	['+'] = LINE, ['-'] = LINE, [':'] = LINE, ['_'] = LINE, [','] = LINE, ['#'] = LINE, ['('] = LINE,
	['$'] = BYTES, ['='] = BYTES, ['!'] = BYTES, ['*'] = PARTS, ['~'] = PARTS, ['>'] = PARTS, ['%'] = PAIRS, ['|'] = PAIRS,
};

static __always_inline u32 redis_class(const u8 *b)
{
	if (b[0] == '-' && ((b[1] == 'M' && b[2] == 'O') || (b[1] == 'A' && b[2] == 'S'))) /* MOVED, ASK */
		return REDIRECT;
	return b[0] == '-' || b[0] == '!' ? ERROR : OK;
}

/* A value of so many parts begins, with the line that holds its head or so much of it.
 * At the top it is a request or an answer: pushed values and attributes are neither. */
static __always_inline void redis_value(struct packet *p, u8 first, u32 parts)
{
	struct walk *w = p->w;

	if (w->left) {
		w->left += parts - (first != '|');
		return;
	}
	w->left = parts;
	if (p->asks)
		ask(p, now(p));
	else if (first != '>' && first != '|')
		answer(p, redis_class(w->head));
}

/* Go over a line, or as much of it as the walk's head holds. */
static __always_inline long redis_line(struct packet *p, u32 loaded, u32 length)
{
	p->w->line = !length;
	take(p, length ? length : loaded < HEAD ? loaded : HEAD);
	return 0;
}

static long redis_step(u32 i, struct packet *p)
{
	u32 loaded, length, kind;
	struct walk *w = p->w;
	s32 number = NONE;
	u8 first;

	if (!pass(p))
		return 1;
	loaded = load(p);
	if (!loaded)
		return 1;
	length = protocol_line(w, loaded);
	if (w->line)
		return redis_line(p, loaded, length);
	first = w->head[0];
	kind = redis_kinds[first];
	if (p->asks && !w->left && first >= 'A' && first <= 'z') /* a command as a line */
		kind = LINE;
	if (!length && (kind != LINE || loaded < 3)) {
		wait(p, loaded);
		return 1;
	}
	if (kind >= BYTES)
		number = protocol_number(w, length);
	if (kind == NOTHING || number == WRONG) {
		lose(p);
		return 1;
	}
	if (number == NONE) {
		redis_value(p, first, 0);
	} else if (kind == BYTES) {
		redis_value(p, first, 0);
		w->skip = number + 2;
	} else {
		redis_value(p, first, kind == PAIRS ? 2 * number : number);
	}
	return redis_line(p, loaded, length);
}

#endif
