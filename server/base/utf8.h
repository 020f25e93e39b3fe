// SPDX-License-Identifier: MIT
// What is UTF-8 (RFC 3629): no byte of it is decoded, only its sequences are told from what is none.
#pragma once
#include <stddef.h>

// The length of the UTF-8 sequence of two to four bytes at `s`, or 0 where it is not valid.
static inline size_t utf8_len(const unsigned char *s, size_t left) {
  unsigned lead = s[0], low = 0x80, high = 0xbf;
  size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || left < len) return 0;
  if (lead == 0xe0) low = 0xa0;  // shorter forms
  if (lead == 0xed) high = 0x9f; // surrogates
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f; // beyond U+10FFFF
  if (s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i < len; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  return len;
}
