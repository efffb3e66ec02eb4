//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* HTTP/2 (RFC 9113) and gRPC on it: the heads of frames in both directions, and of the
 * answers' header blocks the fields that hold a status. */
#ifndef VP_PROTOCOL_HTTP2_H
#define VP_PROTOCOL_HTTP2_H

#include "protocol_hpack.h"

#define FRAME 9    /* bytes of a frame's head */
#define PREFACE 24 /* with which a client begins */
enum { DATA_FRAME, HEADERS_FRAME, RST_STREAM_FRAME = 3, LAST_FRAME = 16 };
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8, PRIORITY = 32 };

/* A pointer to one of the fields with which requests begin, and answers do not: 1 to 7
 * of the table that stands still. */
static __always_inline bool request_field(u8 b)
{
	u8 index = b & 128 ? b & 127 : b & 64 ? b & 63 : b & 32 ? 0 : b & 15;

	return index >= 1 && index <= 7;
}

/* A connection that is older than we, at a request: a whole header block of at most
 * 4 KiB on a client's stream. Its first field may be one that was sent before. */
static __always_inline bool http2_request(const u8 *b)
{
	if (b[0] || b[1] >= 16 || b[3] != HEADERS_FRAME || b[5] || !(b[8] & 1))
		return false;
	if (b[4] & ~(END_STREAM | END_HEADERS | PRIORITY) || !(b[4] & END_HEADERS))
		return false;
	if (b[4] & PRIORITY)
		return request_field(b[14]) || (b[14] >= 128 + 62 && request_field(b[15]));
	return request_field(b[9]) || (b[9] >= 128 + 62 && request_field(b[10]));
}

/* The place of a stream; STREAMS: it has none. id 0 finds a free one for `near`. */
__noinline int protocol_stream(struct http2 *h, u32 id, u32 near)
{
	u32 at;

	if (!h)
		return STREAMS;
	for (u32 i = 0; i < NEAR; i++) {
		at = ((near >> 1) + i) % STREAMS;
		if (h->streams[at].id == id)
			return at;
	}
	return STREAMS;
}

static __always_inline void begin_stream(struct packet *p, u32 id)
{
	struct http2 *h = p->h;
	u32 at;

	if (protocol_stream(h, id, id) < STREAMS) /* its trailers */
		return;
	at = protocol_stream(h, 0, id);
	if (at >= STREAMS) {
		vp_fail();
		return;
	}
	h->streams[at].at = now(p);
	h->streams[at].class = UNTOLD;
	h->streams[at].id = id;
	p->c->asked++;
}

static __always_inline void end_stream(struct packet *p, u32 at, u32 protocol, u32 class)
{
	struct stream *s;

	if (at >= STREAMS)
		return;
	s = &p->h->streams[at];
	if (class == CLASSES) /* as the stream's headers said */
		class = s->class;
	protocol_count(p->on, p->slot, (protocol - HTTP) * CLASSES + class, p->c->server, s->at);
	s->id = 0;
	__sync_fetch_and_add(&p->c->answered, 1);
}

static __always_inline void note(struct http2 *h, u32 field)
{
	if (field & STATUS)
		h->status = field;
	else if (field & GRPC_STATUS)
		h->grpc = field;
	else if (field & DOUBT)
		h->doubt = 1;
}

/* A header block is complete: the status of an answer, or what comes at its end. An
 * answer without a status of gRPC is one of plain HTTP/2, unless a field of its end
 * may have held one. */
static __always_inline void end_block(struct packet *p)
{
	struct http2 *h = p->h;
	u32 at = protocol_stream(h, h->stream, h->stream), status = h->status & VALUE_CLASS;

	if (at >= STREAMS)
		return;
	if (h->status && status != CLASSES)
		h->streams[at].class = status;
	if (!(h->flags & END_STREAM))
		return;
	if (h->grpc)
		end_stream(p, at, GRPC, h->grpc & VALUE_CLASS);
	else
		end_stream(p, at, HTTP2, h->doubt ? UNTOLD : h->streams[at].class);
}

/* A header block is not read: what it puts into the table is not known. */
static __always_inline void leave_block(struct packet *p)
{
	p->h->inserted = 0;
	p->h->doubt = 1;
	end_block(p);
}

static __always_inline void answer_headers(struct packet *p, u32 length, u32 flags, u32 id)
{
	struct http2 *h = p->h;
	u32 before = flags & PRIORITY ? 5 : 0;

	h->stream = id;
	h->flags = flags;
	h->status = h->grpc = h->doubt = 0;
	h->part = FIELD;
	if (flags & PADDED || !(flags & END_HEADERS) || length <= before) {
		leave_block(p);
		return;
	}
	p->w->skip = before;
	p->w->left = length - before;
}

static __always_inline long http2_frame(struct packet *p, u32 loaded)
{
	u8 *b = p->w->head, type = b[3], flags = b[4];
	u32 length = word(b) >> 8, id = word(b + 5);

	if (loaded < FRAME) {
		wait(p, loaded);
		return 1;
	}
	if (type > LAST_FRAME || length > 1 << 20 || id >> 31) {
		lose(p);
		return 1;
	}
	take(p, FRAME);
	p->w->skip = length;
	if (type == RST_STREAM_FRAME)
		end_stream(p, protocol_stream(p->h, id, id), HTTP2, ERROR);
	else if (type == HEADERS_FRAME && p->asks && id & 1)
		begin_stream(p, id);
	else if (type == HEADERS_FRAME && !p->asks)
		answer_headers(p, length, flags, id);
	else if (type == DATA_FRAME && !p->asks && flags & END_STREAM && id)
		end_stream(p, protocol_stream(p->h, id, id), HTTP2, CLASSES);
	return 0;
}

/* How much of a field's beginning an integer has, by its first byte. */
static __always_inline u32 prefix(u8 b)
{
	return b & 128 ? 127 : b & 64 ? 63 : b & 32 ? 31 : 15;
}

/* The beginning of a field, with its pointer or none. */
static __always_inline void begin_field(struct http2 *h, u8 b, u32 index)
{
	u32 field = index ? protocol_indexed(h, index) : PLAIN;

	if (b & 128) {
		note(h, field);
	} else if (b >> 5 != 1) { /* no change of the table's size */
		h->insert = b >> 6 & 1;
		h->field = field & ~VALUE_CLASS;
		h->part = index ? VALUE : NAME;
	}
}

static __always_inline void end_field(struct http2 *h, struct walk *w, u32 length)
{
	u32 field = h->field, number;

	if (field & (STATUS | GRPC_STATUS)) {
		number = protocol_digits(w, length);
		field |= field & STATUS ? http2_class(number) : grpc_class(number);
	}
	note(h, field);
	if (h->insert)
		h->table[h->inserted++ % TABLE] = field;
	h->part = FIELD;
}

static __always_inline long http2_field(struct packet *p, u32 loaded)
{
	struct http2 *h = p->h;
	struct walk *w = p->w;
	u8 part = h->part, b = w->head[0];
	u64 integer = protocol_integer(w, part == FIELD ? prefix(b) : 127, loaded);
	u32 used = integer >> 32, v = integer, string = part == FIELD ? 0 : v, look = 0;

	if (part == NAME ? v == 8 || v == 11 : part == VALUE && v <= 3)
		look = v;
	if (!used || loaded < used + look) {
		wait(p, loaded);
		return 1;
	}
	if (v == ~0U || used + string > w->left) {
		lose(p);
		return 1;
	}
	w->left -= used + string;
	if (part == FIELD) {
		begin_field(h, b, v);
	} else if (part == NAME) {
		h->field = protocol_name(w, v);
		h->part = VALUE;
	} else {
		end_field(h, w, v);
	}
	take(p, used);
	w->skip = string;
	if (!w->left)
		end_block(p);
	return 0;
}

static long http2_step(u32 i, struct packet *p)
{
	u32 loaded;

	if (!pass(p))
		return 1;
	loaded = load(p);
	if (!loaded)
		return 1;
	return p->w->left ? http2_field(p, loaded) : http2_frame(p, loaded);
}

#endif
