// SPDX-License-Identifier: MIT
// A byte machine over the raw bytes of a request head, or of a trailer section, which is a head's fields
// alone: finds its end and refuses what no parser should see.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "http/proto.h"
#include "http/refusal.h"

enum head_guard_state {
  GUARD_START,
  GUARD_LEAD_LF,
  GUARD_METHOD,
  GUARD_TARGET,
  GUARD_VERSION,
  GUARD_LINE_LF,
  GUARD_FIELD,
  GUARD_NAME,
  GUARD_VALUE,
  GUARD_VALUE_LF,
  GUARD_END_LF,
  GUARD_DONE
};

// Zeroed, it waits for a first byte; in GUARD_FIELD for a trailer section.
struct head_guard {
  size_t scanned;   // bytes of the input that are known already
  uint32_t fields;  // so far
  uint32_t run;     // length so far of the method, the target or the version
  uint8_t state;    // enum head_guard_state
  uint8_t lead;     // empty lines before the request, all in all
  uint8_t lead_len; // their bytes at the front of the input
};

// True for what a token, such as a field's name, may hold (tchar of RFC 9110 5.6.2), what a field's value
// may (field-vchar, blank, tab and obs-text of 5.5), and a request's target. Any thread.
bool is_tchar(unsigned char byte);
bool is_value_byte(unsigned char byte);
bool is_target_byte(unsigned char byte);

// Scans on through `bytes`, which begin with what was scanned before. GUARD_DONE: the head lies between
// `lead_len` and `scanned`. Worker thread.
struct refusal head_guard_scan(struct head_guard *g, const char *bytes, size_t len,
                               const struct proto_limits *limits);
