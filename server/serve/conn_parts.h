// SPDX-License-Identifier: MIT
// A connection as its files share it. conn_sink notes what its protocol says and conn_times knows what it
// waits for; conn.c reads, writes and ends; conn_open begins, above them. Worker thread only.
#pragma once
#include "serve/conn.h"

static const double LINGER_SECONDS = 2;

// Whether what is said of one stream is no other's matter.
static inline bool conn_carries_many(const struct conn *c) { return c->proto && c->proto->ops->ready; }

extern const struct proto_sink conn_proto_sink;

// Has it flushed at the end of the turn.
void conn_touch(struct conn *c);

// Its client has timeouts.body_total from now, for one that reads a body at a time.
void conn_allow_body_time(struct conn *c);

// The client may send so much more of the body as its reader has taken, or as nobody will read.
void conn_tell_kept(struct conn *c, struct stream *s);

void conn_set_deadline(struct conn *c, double at);

// Whose request's body has not come to its end, and is what the connection reads; NULL: none's.
struct stream *conn_reading(const struct conn *c);

// Bytes may have moved the protocol on: sets the time for what it is in now.
void conn_watch(struct conn *c);

// Reads as much as there is room for.
void conn_want_read(struct conn *c);

// Whether another request may come behind those that it has.
bool conn_can_carry_more(const struct conn *c);

// Has the client open no more streams: twice, as what it has opened meanwhile is served (RFC 9113 6.8).
void conn_depart(struct conn *c);
void conn_expect_first(struct conn *c);

// Answers what is no request, or whose body does not come.
void conn_refuse_request(struct conn *c, struct refusal refusal);

// carrier_ops.give_up.
void conn_give_up(struct carrier *carrier, struct stream *s, enum close_reason reason);

// Line ends in front of what a client says under an event stream of HTTP/1 are no part of a request.
bool conn_has_event_stream(const struct conn *c);
struct span conn_skip_line_ends(struct span bytes);

// Its client speaks HTTP/2.
void conn_speak_http2(struct conn *c);

// Of its transport_sink.
void conn_on_bytes(struct transport *t, struct span bytes);
void conn_on_sent(struct transport *t, size_t len);
void conn_on_end(struct transport *t);
void conn_on_error(struct transport *t, enum transport_error why);
