// SPDX-License-Identifier: MIT
// Copies heads as they come, in whatever pieces, and counts the rest.
#include "http/http2_scan.h"
#include <nghttp2/nghttp2.h>
#include "base/util.h"

enum { NO_TYPE = 0xff };

void http2_scan_init(struct http2_scan *s, uint32_t preface_len) {
  *s = (struct http2_scan){.have = FRAME_HEAD_LEN, .is_known = true, .left = preface_len};
  s->head[3] = NO_TYPE;
}

static uint32_t length_of(const struct http2_scan *s) {
  return (uint32_t)s->head[0] << 16 | (uint32_t)s->head[1] << 8 | s->head[2];
}

static int32_t id_at(const uint8_t *at) {
  return (int32_t)(((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]) &
                   INT32_MAX);
}

uint8_t http2_scan_type(const struct http2_scan *s) { return s->head[3]; }

uint8_t http2_scan_flags(const struct http2_scan *s) { return s->head[4]; }

int32_t http2_scan_stream(const struct http2_scan *s) { return id_at(s->head + 5); }

static bool is_priority(const struct http2_scan *s) {
  return http2_scan_type(s) == NGHTTP2_PRIORITY && length_of(s) == PRIORITY_LEN;
}

bool http2_scan_is_circle(const struct http2_scan *s) {
  return is_priority(s) && id_at(s->head + FRAME_HEAD_LEN) == http2_scan_stream(s);
}

static bool wants_more(const struct http2_scan *s) {
  return s->have < FRAME_HEAD_LEN || (is_priority(s) && s->have < FRAME_HEAD_LEN + PRIORITY_LEN);
}

size_t http2_scan(struct http2_scan *s, const char *bytes, size_t len, bool *begins) {
  size_t n = 0;
  *begins = false;
  while (!s->is_known && wants_more(s) && n < len) s->head[s->have++] = (uint8_t)bytes[n++];
  if (!s->is_known && wants_more(s)) return n;
  if (!s->is_known) {
    *begins = s->is_known = true;
    s->left = length_of(s) - (uint32_t)(s->have - FRAME_HEAD_LEN);
  }
  size_t rest = MIN((size_t)s->left, len - n);
  s->left -= (uint32_t)rest;
  if (!s->left) s->have = 0, s->is_known = false;
  return n + rest;
}
