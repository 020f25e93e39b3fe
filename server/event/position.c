// SPDX-License-Identifier: MIT
// The text of a position has one form only: epoch in lower-case hexadecimal, number in decimal, no leading
// zeros. What a client sends back is compared by value, so that nothing else may pass for it.
#include "event/position.h"
#include <stdio.h>

size_t position_write(struct position p, char id[POSITION_TEXT_MAX]) {
  return (size_t)snprintf(id, POSITION_TEXT_MAX, "%llx-%llu", (unsigned long long)p.epoch,
                          (unsigned long long)p.seq);
}

// Digits without leading zeros, the value of which fits.
static bool read_digits(struct span digits, unsigned base, uint64_t *value) {
  *value = 0;
  if (!digits.len || (digits.len > 1 && digits.bytes[0] == '0')) return false;
  for (size_t i = 0; i < digits.len; i++) {
    char c = digits.bytes[i];
    unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : base;
    if (digit >= base || *value > (UINT64_MAX - digit) / base) return false;
    *value = *value * base + digit;
  }
  return true;
}

bool position_read(struct span id, struct position *p) {
  struct span rest = id, epoch = span_split(&rest, '-');
  return read_digits(epoch, 16, &p->epoch) && read_digits(rest, 10, &p->seq);
}
