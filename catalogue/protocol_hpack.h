//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* The fields of answers of HTTP/2 (HPACK, RFC 7541). Names and values may stand in a
 * table, to which fields only point: what is put there is counted, and of a status it
 * is kept what it says. Nothing is decoded but digits. */
#ifndef VP_PROTOCOL_HPACK_H
#define VP_PROTOCOL_HPACK_H

#include "protocol_http.h"

#define STREAMS 64 /* that are open at once */
#define NEAR 8     /* of which one may be in any of so many places */
#define TABLE 128  /* the most that fits into 4 KiB (RFC 7541, 4.1) */

struct stream {
	u64 at;
	u32 id; /* 0: free */
	u32 class;
};

/* What is known of a field: which it is, and the class that its value says. */
enum field { PLAIN = 0, STATUS = 16, GRPC_STATUS = 32, DOUBT = 64, VALUE_CLASS = 15 };
enum part { FIELD, NAME, VALUE };

struct http2 {
	struct stream streams[STREAMS];
	u8 table[TABLE]; /* by number of insertion */
	u32 inserted;
	/* the answers' header block that is being read */
	u32 stream;
	u8 flags, part, field, insert;
	u8 status, grpc, doubt;
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct http2);
} protocol_http2s SEC(".maps");

static __always_inline bool http2_preface(const u8 *b)
{
	return word(b) == FOUR('P', 'R', 'I', ' ') && word(b + 4) == FOUR('*', ' ', 'H', 'T');
}

/* An integer of HPACK at the beginning of the walk's head (RFC 7541, 5.1): its bytes
 * in the upper half, 0 where it is not complete; too large ones are the largest. */
__noinline u64 protocol_integer(struct walk *w, u32 mask, u32 loaded)
{
	u32 v;

	if (!w)
		return 0;
	v = w->head[0] & mask;
	if (v < mask)
		return 1ULL << 32 | v;
	for (u32 i = 1; i < 5 && i < loaded; i++) {
		v += (u32)(w->head[i] & 127) << 7 * (i - 1);
		if (!(w->head[i] & 128))
			return (u64)(i + 1) << 32 | v;
	}
	return loaded < 5 ? 0 : 5ULL << 32 | ~0U;
}

/* A number of up to three digits as a string of HPACK, Huffman's code or none. Digits
 * have 5 bits up to 2, 6 bits from there on. */
#define NO_NUMBER 1000
__noinline int protocol_digits(struct walk *w, u32 length)
{
	u32 n = 0, bits, used = 0, d;
	bool huffman;

	if (!w || !length || length > 3)
		return NO_NUMBER;
	huffman = w->head[0] & 128;
	bits = (u32)w->head[1] << 24 | w->head[2] << 16 | w->head[3] << 8;
	for (u32 i = 0; i < 3; i++) {
		if (huffman) {
			d = bits >> 27;
			if (d < 3) {
				used += 5;
				bits <<= 5;
			} else {
				d = (bits >> 26) - 22;
				used += 6;
				bits <<= 6;
			}
		} else {
			d = (bits >> 24) - '0';
			used += 8;
			bits <<= 8;
		}
		if (used > 8 * length || d > 9) /* the rest is padding */
			break;
		n = n * 10 + d;
	}
	return used < 8 * length - 7 ? NO_NUMBER : n;
}

static __always_inline u32 http2_class(u32 number)
{
	u8 digits[3] = { '0' + number / 100, '0' + number / 10 % 10, '0' + number % 10 };

	return number < 600 ? status_class(digits) : UNTOLD;
}

/* As OpenTelemetry has it: what a server is to blame for, and what its caller is. */
static __always_inline u32 grpc_class(u32 code)
{
	if (!code)
		return OK;
	if (code > 16)
		return UNTOLD;
	return 1U << code & (1 << 2 | 1 << 4 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15) ? SERVER_ERROR : CLIENT_ERROR;
}

/* What a pointer into the tables says: 200, 204, 206, 304, 400, 404 and 500 are 8 to 14
 * of those that stand still (RFC 7541, appendix A). */
__noinline int protocol_indexed(struct http2 *h, u32 index)
{
	u32 back = index - 62;

	if (!h || !index)
		return DOUBT;
	if (index < 62) {
		if (index < 8 || index > 14)
			return PLAIN;
		return STATUS | (index < 11 ? OK : index == 11 ? REDIRECT : index < 14 ? CLIENT_ERROR : SERVER_ERROR);
	}
	if (back >= h->inserted || back >= TABLE) /* from before we saw it, or beyond what we keep */
		return DOUBT;
	return h->table[(h->inserted - 1 - back) % TABLE];
}

/* "grpc-status", plain or in Huffman's code. */
__noinline int protocol_name(struct walk *w, u32 length)
{
	bool same;

	if (!w)
		return PLAIN;
	if (w->head[0] & 128)
		same = length == 8 && word(w->head + 1) == 0x9acac8b2 && word(w->head + 5) == 0x1234da8f;
	else
		same = length == 11 && word(w->head + 1) == FOUR('g', 'r', 'p', 'c') && word(w->head + 5) == FOUR('-', 's', 't', 'a') &&
		       word(w->head + 8) == FOUR('a', 't', 'u', 's');
	return same ? GRPC_STATUS : PLAIN;
}

#endif
