// SPDX-License-Identifier: MIT
// What of a Redis server's bytes may reach the reader of replies: RESP2 within limits, whole line ends,
// lengths that memory can hold. Knows no connection and keeps no bytes. Any thread, one at a time.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

enum {
  REDIS_BULK_MAX = 16 << 20,        // bytes of a string
  REDIS_LINE_MAX = 64 << 10,        // bytes of a status, an error or a number
  REDIS_COUNT_MAX = 100 * 1000,     // elements of an array
  REDIS_ELEMENTS_MAX = 1000 * 1000, // of all arrays of a reply
  REDIS_REPLY_MAX = 64 << 20,       // bytes of a reply
  REDIS_DEPTH_MAX = 7               // arrays in arrays; XREAD answers five deep
};

enum redis_scan_state { SCAN_TYPE, SCAN_LINE, SCAN_LINE_END, SCAN_BULK, SCAN_BULK_END };

// All zeros: at the beginning of a reply.
struct redis_scan {
  enum redis_scan_state state;
  char type;
  bool is_negative, has_digit;
  unsigned depth;
  uint32_t left[REDIS_DEPTH_MAX]; // elements that are missing, per open array
  uint64_t number;                // of the line
  size_t line_len, bulk_left;
  size_t bytes, elements; // of the reply
};

// Goes on with what has come. NULL, or what is wrong with it, static: the connection is of no use any more.
const char *redis_scan(struct redis_scan *s, struct span bytes);

// True between two replies.
static inline bool redis_scan_is_between(const struct redis_scan *s) {
  return s->state == SCAN_TYPE && !s->depth && !s->bytes;
}
