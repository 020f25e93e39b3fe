// SPDX-License-Identifier: MIT
// Makes a request of the fields of a head, as they come one by one.
#pragma once
#include "base/buf.h"
#include "http/proto.h"
#include "http/refusal.h"

struct http2_piece {
  uint32_t at, len; // in `text`
};

struct http2_head {
  struct buf text, list; // the fields' bytes; pairs of struct http2_piece
  struct buf cookies;    // that come one by one (RFC 9113 8.2.3)
  struct http2_piece method, target, authority;
  size_t size;            // as RFC 9113 6.5.2 counts it
  struct refusal refusal; // the first thing against it
};

// Begins another.
void http2_head_begin(struct http2_head *h);
void http2_head_deinit(struct http2_head *h);

// Adds a field, or a pseudo-field. nghttp2 has checked the order of both, and their names' case.
void http2_head_add(struct http2_head *h, struct span name, struct span value,
                    const struct proto_limits *limits);

// What the head as a whole means, by the checks of HTTP/1's. Accepted: *out is a request of the caller's.
// `has_body`: more than the head is to come.
struct refusal http2_head_finish(struct http2_head *h, bool has_body, struct request **out);
