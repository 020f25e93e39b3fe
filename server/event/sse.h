// SPDX-License-Identifier: MIT
// The wire format of an event (WHATWG HTML 9.2.5, 9.2.6).
#pragma once
#include <stdint.h>
#include "base/span.h"
#include "event/event.h"

struct sse_fields {
  struct span comment, event, id, data; // bytes == NULL: the field is absent
  int64_t retry_ms;                     // -1: absent
  struct span
      trace; // a traceparent, which is kept beside a channel's event and not sent; bytes == NULL: none
};

static const struct sse_fields SSE_NO_FIELDS = {.retry_ms = -1};

// NULL where the fields make an event; else the reason, static, which names the field. An event with nothing,
// a line break in comment, event or id, and NUL in one of these are refused. Any thread.
const char *sse_refusal(const struct sse_fields *f);

// The bytes that the encoded event takes, without a frame.
size_t sse_length(const struct sse_fields *f);

// Encodes fields that sse_refusal has no objection to: comment, event, id, retry, data, a blank line; `len`
// is their sse_length. The caller owns the one reference. Any thread.
struct event *sse_encode(const struct sse_fields *f, size_t len);

// The same of memory from `home` (NULL: malloc's), whose thread it does not leave.
struct event *sse_encode_at(struct slab *home, const struct sse_fields *f, size_t len);

// Whether data is one line.
bool sse_is_line(struct span data);

// The same of one line of data and nothing else, and its length.
struct event *sse_encode_line(struct slab *home, struct span data);
static inline size_t sse_line_length(size_t len) { return len + sizeof "data: \n\n" - 1; }
