// SPDX-License-Identifier: MIT
// Growable byte buffer. The limit on what may grow in it is its user's.
#pragma once
#include <stddef.h>
#include "base/span.h"
#include "base/util.h"

struct buf {
  char *bytes;
  size_t len, cap;
};

// Frees the bytes; the buffer is empty and usable afterwards.
void buf_deinit(struct buf *b);

// Makes room for `more` bytes behind the content and returns where they go; add to `len` what was written.
char *buf_reserve(struct buf *b, size_t more);

// Append bytes, a span, one byte, a formatted text.
void buf_append(struct buf *b, const void *bytes, size_t len);
void buf_append_span(struct buf *b, struct span s);
void buf_append_byte(struct buf *b, char byte);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

// Drops the first `len` bytes.
void buf_consume(struct buf *b, size_t len);

// Empties it for the next use, and gives the memory back where it has grown past `keep` bytes.
void buf_reset(struct buf *b, size_t keep);

// The content, borrowed until the next change.
static inline struct span buf_span(const struct buf *b) { return (struct span){b->bytes, b->len}; }
