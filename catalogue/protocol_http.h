//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 */
/* HTTP/1.x and TLS: of these only what a packet begins with is looked at. */
#ifndef VP_PROTOCOL_HTTP_H
#define VP_PROTOCOL_HTTP_H

#include "protocol.h"

#define FOUR(a, b, c, d) ((u32)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static __always_inline bool target(u8 first)
{
	return first == '/' || first == 'h';
}

/* A method, a space and the beginning of a target (RFC 9112, section 3). */
static __always_inline bool http_request(const u8 *b)
{
	switch (word(b)) {
	case FOUR('G', 'E', 'T', ' '):
	case FOUR('P', 'U', 'T', ' '):
		return target(b[4]);
	case FOUR('H', 'E', 'A', 'D'):
	case FOUR('P', 'O', 'S', 'T'):
		return b[4] == ' ' && target(b[5]);
	case FOUR('P', 'A', 'T', 'C'):
	case FOUR('T', 'R', 'A', 'C'):
		return b[5] == ' ' && target(b[6]);
	case FOUR('D', 'E', 'L', 'E'):
		return b[6] == ' ' && target(b[7]);
	case FOUR('O', 'P', 'T', 'I'):
		return b[7] == ' ' && (b[8] == '*' || target(b[8]));
	case FOUR('C', 'O', 'N', 'N'): /* to a host, whose name may begin with anything */
		return b[7] == ' ';
	}
	return false;
}

static __always_inline bool http_answer(const u8 *b)
{
	return word(b) == FOUR('H', 'T', 'T', 'P') && b[4] == '/' && b[5] == '1' && b[6] == '.' && b[8] == ' ';
}

/* The class of a status by its first digit; CLASSES: it is not the last of its
 * request. */
static __always_inline u32 status_class(const u8 *digits)
{
	switch (digits[0]) {
	case '1': /* 101 hands the connection over */
		return digits[1] == '0' && digits[2] == '1' ? OK : CLASSES;
	case '2':
		return OK;
	case '3':
		return REDIRECT;
	case '4':
		return CLIENT_ERROR;
	case '5':
		return SERVER_ERROR;
	}
	return UNTOLD;
}

static __always_inline void http(struct packet *p, const u8 *b)
{
	u32 class;

	if (p->asks) {
		if (!http_request(b))
			return;
		if (open(p->c)) /* its answer was not seen, or they are pipelined */
			answer(p, UNTOLD);
		ask(p, now(p));
	} else if (open(p->c) && http_answer(b)) {
		class = status_class(b + 9);
		if (class < CLASSES)
			answer(p, class);
	}
}

/* TLS records (RFC 8446, section 5.1). */
#define CHANGE_CIPHER_SPEC 20
#define HANDSHAKE 22
#define APPLICATION_DATA 23
#define RECORD 5 /* bytes of its head */
#define CLIENT_HELLO 1 /* first byte of a handshake */
#define SERVER_HELLO 2
#define ALERT 19 /* length of an encrypted alert of TLS 1.3: the connection's end */

static __always_inline bool tls_record(const u8 *b)
{
	return (b[0] == HANDSHAKE || b[0] == APPLICATION_DATA) && b[1] == 3 && b[2] <= 4 && (b[3] << 8 | b[4]) <= 16384 + 2048;
}

/* In TLS 1.3 the end of a client's handshake is a record of data behind one that
 * changes nothing; a request may follow. */
static __always_inline bool behind_handshake(struct packet *p)
{
	u32 at = p->at + RECORD + 1;
	u8 b[RECORD];

	if (bpf_skb_load_bytes(p->skb, at, b, RECORD) || b[0] != APPLICATION_DATA)
		return false;
	at += RECORD + (b[3] << 8 | b[4]);
	return !bpf_skb_load_bytes(p->skb, at, b, RECORD) && b[0] == APPLICATION_DATA;
}

static __always_inline void tls(struct packet *p, const u8 *b)
{
	if (p->asks && !open(p->c)) {
		if (b[0] == CHANGE_CIPHER_SPEC ? behind_handshake(p) : tls_record(b) && b[0] == APPLICATION_DATA &&
		    !((b[3] << 8 | b[4]) == ALERT && p->end - p->at == RECORD + ALERT))
			ask(p, now(p));
	} else if (!p->asks && b[0] == APPLICATION_DATA) {
		answer(p, UNTOLD);
	}
}

#endif
