// SPDX-License-Identifier: MIT
// HTTP/1.0 and 1.1 (RFC 9112): a byte guard before llhttp, llhttp, and the checks behind it.
#pragma once
#include "http/proto.h"

// A parser that waits for a request's first byte. The sink and the limits are borrowed; free with ops->free.
struct proto *http1_new(const struct proto_sink *sink, const struct proto_limits *limits);

// "Not Found" of 404, static; "" of a status that has no phrase.
const char *status_phrase(int status);

// Writes the head of a response, of a status of 200 or more, for a client that speaks HTTP/1.`minor`.
void http1_write_head(const struct response *r, int minor, struct buf *out);
