// SPDX-License-Identifier: MIT
// Whose data goes first (RFC 9218). The library has streams of one urgency take turns; here are those that
// are not to.
#pragma once
#include "http/http2_session.h"

// That of a priority field's value, or of an update's (RFC 9218 4).
struct http2_priority http2_priority(struct span value);

// Keeps the priority of a stream that has not begun (RFC 9218 7.1), of so many the latest.
void http2_turns_expect(struct http2 *h, int32_t id, struct span value);

// That one, or what its request's own field says.
struct http2_priority http2_turns_first(struct http2 *h, int32_t id, struct span field);

// Has the stream go by it from now on.
void http2_turns_set(struct http2 *h, struct http2_stream *s, struct http2_priority priority);

// Whether a stream that could send something waits for another to be whole; it is resumed for that one's sake
// then.
bool http2_turns_wait(struct http2 *h, struct http2_stream *s);

// Makes ready those whose turn it is now: before others fill what is sent, and once nothing more is. False:
// there are none.
bool http2_turns_pass(struct http2 *h);
