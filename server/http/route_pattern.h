// SPDX-License-Identifier: MIT
// The pattern of a route, taken apart.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"
#include "http/route_path.h"
#include "http/router.h"

struct byte_set {
  uint64_t bits[4];
};

// In the order in which a router tries them.
enum segment_kind { SEGMENT_LITERAL, SEGMENT_SET, SEGMENT_ANY, SEGMENT_REST };

struct pattern_segment {
  enum segment_kind kind;
  struct span text;    // the literal, or the parameter's name; points into the pattern's text
  struct byte_set set; // of SEGMENT_SET
};

struct route_pattern {
  struct span text;
  size_t count, param_count;
  struct pattern_segment segments[ROUTE_SEGMENTS_MAX];
};

// Reads "/rooms/:room", "/u/:id[%d]", "/files/*path"; `text` is borrowed. -1 with a reason in `error`.
int route_pattern_read(struct route_pattern *p, struct span text, char error[ROUTER_ERROR_MAX]);

// True when the byte is in the set.
static inline bool byte_set_has(const struct byte_set *s, char byte) {
  unsigned char b = (unsigned char)byte;
  return s->bits[b >> 6] >> (b & 63) & 1;
}
