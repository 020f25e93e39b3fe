// SPDX-License-Identifier: MIT
// Where frames begin and end: of some the library tells nothing.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_HEAD_LEN = 9, PRIORITY_LEN = 5 };

struct http2_scan {
  uint8_t head[FRAME_HEAD_LEN + PRIORITY_LEN]; // of the present frame, and all of one of PRIORITY
  uint8_t have;                                // bytes of it
  bool is_known;                               // all that is wanted
  uint32_t left;                               // bytes behind it
};

// It waits for `preface_len` bytes, and then for a frame.
void http2_scan_init(struct http2_scan *s, uint32_t preface_len);

// Passes over what belongs to the present frame, of which it returns the length. *begins: its head is
// complete now.
size_t http2_scan(struct http2_scan *s, const char *bytes, size_t len, bool *begins);

// Of a frame whose head is complete.
uint8_t http2_scan_type(const struct http2_scan *s);
uint8_t http2_scan_flags(const struct http2_scan *s);
int32_t http2_scan_stream(const struct http2_scan *s);

// Whether one of PRIORITY says that its stream depends on itself.
bool http2_scan_is_circle(const struct http2_scan *s);

static inline bool http2_scan_has_ended(const struct http2_scan *s) { return !s->have; }
