// SPDX-License-Identifier: MIT
// A client may ask for the same bytes many times over in one field. What asks for more ranges than a reader
// has use for, or for one byte twice, gets the whole once, which the standard allows.
#include "http/range.h"
#include "base/digits.h"
#include "base/util.h"

enum { SPEC_BAD, SPEC_OUTSIDE, SPEC_INSIDE };

// A number without a sign; what is too large for the type is its largest value.
static bool number_read(struct span digits, uint64_t *value) {
  bool fits = true;
  *value = 0;
  for (size_t i = 0; i < digits.len; i++) {
    if (!is_digit(digits.bytes[i])) return false;
    fits = fits && !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digits.bytes[i] - '0', value);
  }
  if (!fits) *value = UINT64_MAX;
  return digits.len > 0;
}

// "-N": the last N bytes.
static int suffix_read(struct span digits, uint64_t size, struct byte_range *out) {
  uint64_t len;
  if (!number_read(digits, &len)) return SPEC_BAD;
  if (!len) return SPEC_OUTSIDE;
  len = MIN(len, size);
  *out = (struct byte_range){size - len, len};
  return SPEC_INSIDE;
}

// "N-M", "N-" or "-N".
static int spec_read(struct span spec, uint64_t size, struct byte_range *out) {
  uint64_t first, last = UINT64_MAX;
  if (!memchr(spec.bytes, '-', spec.len)) return SPEC_BAD;
  struct span from = span_split(&spec, '-');
  if (!from.len) return suffix_read(spec, size, out);
  if (!number_read(from, &first)) return SPEC_BAD;
  if (spec.len && (!number_read(spec, &last) || last < first)) return SPEC_BAD;
  if (first >= size) return SPEC_OUTSIDE;
  last = MIN(last, size - 1);
  *out = (struct byte_range){first, last - first + 1};
  return SPEC_INSIDE;
}

static bool shares_a_byte(const struct byte_range *r, const struct byte_range *others, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (r->first < others[i].first + others[i].len && others[i].first < r->first + r->len) return true;
  return false;
}

enum range_verdict range_read(struct span value, uint64_t size, struct byte_range ranges[RANGES_MAX],
                              size_t *count) {
  size_t asked = 0;
  struct span unit = span_split(&value, '=');
  *count = 0;
  if (!span_equal_nocase(span_trim(unit), SPAN("bytes"))) return RANGE_WHOLE;
  while (value.len) {
    struct byte_range r;
    struct span spec = span_trim(span_split(&value, ','));
    if (!spec.len) continue;
    if (++asked > RANGES_MAX) return RANGE_WHOLE;
    int kind = spec_read(spec, size, &r);
    if (kind == SPEC_BAD) return RANGE_WHOLE;
    if (kind == SPEC_OUTSIDE) continue;
    if (!r.len || shares_a_byte(&r, ranges, *count))
      return RANGE_WHOLE; // no bytes: the last of an empty whole
    ranges[(*count)++] = r;
  }
  if (!asked) return RANGE_WHOLE;
  return *count ? RANGE_PARTS : RANGE_UNSATISFIABLE;
}
