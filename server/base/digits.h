// SPDX-License-Identifier: MIT
// Digits, and numbers made of nothing else, in any locale.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The value of a hex digit of either case; -1 where it is none.
static inline int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  char lower = (char)(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Reads one or more digits as a number of at most `max`. False for anything else, also a number that is
// larger.
static inline bool decimal_read(struct span digits, uint64_t max, uint64_t *value) {
  *value = 0;
  for (size_t i = 0; i < digits.len; i++) {
    unsigned digit = (unsigned char)digits.bytes[i] - '0';
    if (digit > 9 || *value > (max - digit) / 10 || digit > max) return false;
    *value = *value * 10 + digit;
  }
  return digits.len > 0;
}

// The byte that "%hh" in front of `s` stands for; -1 where there is no such escape.
static inline int escape_value(struct span s) {
  if (s.len < 3 || s.bytes[0] != '%') return -1;
  int high = hex_value(s.bytes[1]), low = hex_value(s.bytes[2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}
