// SPDX-License-Identifier: MIT
// The head of a request of HTTP/1.1, as a connection of ours sends it.
#pragma once
#include "client/hop.h"

// Appends it. A body in pieces of a length that is not known follows in chunks.
void plain_ask(const struct hop *h, struct buf *out);

// Whether it does.
static inline bool hop_is_chunked(const struct hop *h) {
  return h->body_kind == FETCH_BODY_PIECES && h->body_length < 0;
}
