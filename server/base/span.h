// SPDX-License-Identifier: MIT
// A borrowed run of bytes. It owns nothing and is not NUL-terminated.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
  const char *bytes;
  size_t len;
};

#define SPAN(literal) ((struct span){.bytes = (literal), .len = sizeof(literal) - 1})
#define SPAN_FMT      "%.*s"
#define SPAN_ARG(s)   (int)(s).len, (s).bytes

// The span of a NUL-terminated string, borrowed.
static inline struct span span_of(const char *text) {
  return (struct span){.bytes = text, .len = strlen(text)};
}

// True when both hold the same bytes.
static inline bool span_equal(struct span a, struct span b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

// True when both hold the same bytes but for the case of ASCII letters.
static inline bool span_equal_nocase(struct span a, struct span b) {
  return a.len == b.len && (a.len == 0 || strncasecmp(a.bytes, b.bytes, a.len) == 0);
}

// Without the blanks and tabs at either end (OWS of RFC 9110 5.6.3).
static inline struct span span_trim(struct span s) {
  while (s.len && (s.bytes[0] == ' ' || s.bytes[0] == '\t')) s.bytes++, s.len--;
  while (s.len && (s.bytes[s.len - 1] == ' ' || s.bytes[s.len - 1] == '\t')) s.len--;
  return s;
}

// What is left behind the first `n` bytes, which it has.
static inline struct span span_behind(struct span s, size_t n) {
  return (struct span){s.bytes + n, s.len - n};
}

static inline bool span_starts_with(struct span s, struct span start) {
  return s.len >= start.len && span_equal((struct span){s.bytes, start.len}, start);
}

static inline bool span_starts_with_nocase(struct span s, struct span start) {
  return s.len >= start.len && span_equal_nocase((struct span){s.bytes, start.len}, start);
}

static inline bool span_ends_with_nocase(struct span s, struct span end) {
  return s.len >= end.len && span_equal_nocase(span_behind(s, s.len - end.len), end);
}

// Takes the part before the first `separator` off the front of `rest` (all of it where there is none).
static inline struct span span_split(struct span *rest, char separator) {
  const char *at = rest->len ? memchr(rest->bytes, separator, rest->len) : NULL;
  size_t len = at ? (size_t)(at - rest->bytes) : rest->len, skip = at ? len + 1 : len;
  struct span head = {rest->bytes, len};
  rest->bytes += skip, rest->len -= skip;
  return head;
}
