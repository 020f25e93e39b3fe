// SPDX-License-Identifier: MIT
// Doubles when it is full, so that appending costs the same however large it gets. Memory that is not there
// ends the process (mem.h): what may grow in a buffer is limited before.
#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

void buf_deinit(struct buf *b) {
  free(b->bytes);
  *b = (struct buf){0};
}

char *buf_reserve(struct buf *b, size_t more) {
  if (b->cap - b->len < more) {
    size_t cap = MAX(b->cap * 2, b->len + more);
    b->bytes = xrealloc(b->bytes, MAX(cap, 64));
    b->cap = MAX(cap, 64);
  }
  return b->bytes + b->len;
}

void buf_append(struct buf *b, const void *bytes, size_t len) {
  if (!len) return;
  memcpy(buf_reserve(b, len), bytes, len);
  b->len += len;
}

void buf_append_span(struct buf *b, struct span s) { buf_append(b, s.bytes, s.len); }

void buf_append_byte(struct buf *b, char byte) {
  *buf_reserve(b, 1) = byte;
  b->len++;
}

void buf_printf(struct buf *b, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(buf_reserve(b, 64), 64, format, args);
  if (len >= 64) vsnprintf(buf_reserve(b, (size_t)len + 1), (size_t)len + 1, format, again);
  if (len > 0) b->len += (size_t)len;
  va_end(again);
  va_end(args);
}

void buf_consume(struct buf *b, size_t len) {
  b->len -= len;
  if (b->len) memmove(b->bytes, b->bytes + len, b->len);
}

void buf_reset(struct buf *b, size_t keep) {
  b->len = 0;
  if (b->cap > keep) buf_deinit(b);
}
