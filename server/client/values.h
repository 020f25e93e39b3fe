// SPDX-License-Identifier: MIT
// Values of a database as bytes, one behind another: what goes to the thread that asks it, and comes back.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

enum value_type { VALUE_NULL, VALUE_INTEGER, VALUE_FLOAT, VALUE_TEXT, VALUE_BLOB };

struct value {
  enum value_type type;
  union {
    int64_t integer;
    double number;
    struct span text; // a blob's as well
  };
};

// Appends one.
void values_put(struct buf *b, const struct value *v);

// Takes the first of `rest`, whose text is borrowed from it; false at the end.
bool values_next(struct span *rest, struct value *v);
