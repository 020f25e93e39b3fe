// SPDX-License-Identifier: MIT
// The Range field (RFC 9110 14.1, 14.2): which bytes of so many are asked for.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"

enum { RANGES_MAX = 16 };

struct byte_range {
  uint64_t first, len; // within the size, len at least 1
};

enum range_verdict {
  RANGE_WHOLE,        // not to be heeded: another unit, malformed, too many, overlapping
  RANGE_PARTS,        // one range or several, none of which shares a byte with another
  RANGE_UNSATISFIABLE // none of them is within the size
};

// Reads the field's value against a size; *count ranges of RANGE_PARTS, in the order of the field.
enum range_verdict range_read(struct span value, uint64_t size, struct byte_range ranges[RANGES_MAX],
                              size_t *count);
