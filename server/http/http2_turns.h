// SPDX-License-Identifier: MIT
// Whose data goes first (RFC 9218). The library has streams of one urgency take turns; here are those that
// are not to.
#pragma once
#include "http/http2_session.h"

// What a priority field's value says. Where there is none, streams take turns: its default, one after the
// other, would have the first keep all others waiting for as long as it likes.
struct http2_priority {
  uint8_t urgency; // 0 to 7; 3 where it says none
  bool takes_turns;
};
struct http2_priority http2_priority(struct span value);

// Has the stream go by it from now on.
void http2_turns_set(struct http2 *h, struct http2_stream *s, struct http2_priority priority);

// Whether a stream that could send something waits for another to be whole; it is resumed for that one's sake
// then.
bool http2_turns_wait(struct http2 *h, struct http2_stream *s);

// Makes ready those whose turn it is now, once nothing more is sent. False: there are none.
bool http2_turns_pass(struct http2 *h);
