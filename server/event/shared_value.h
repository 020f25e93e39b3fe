// SPDX-License-Identifier: MIT
// What a shared dictionary can hold, and how Lua compares and adds it. Any thread.
#pragma once
#include <stdint.h>
#include "base/buf.h"

enum shared_type { SHARED_NIL, SHARED_STRING, SHARED_INTEGER, SHARED_FLOAT, SHARED_BOOLEAN };

struct shared_value {
  enum shared_type type;
  union {
    struct span string; // borrowed
    int64_t integer;
    double number; // not NaN
    bool boolean;
  };
};

// The bytes of a string; 0 for all else.
static inline size_t shared_value_len(const struct shared_value *v) {
  return v->type == SHARED_STRING ? v->string.len : 0;
}

static inline bool shared_value_is_number(const struct shared_value *v) {
  return v->type == SHARED_INTEGER || v->type == SHARED_FLOAT;
}

// As == of Lua: 1 equals 1.0, and an integer that no float can hold equals none.
bool shared_value_equal(const struct shared_value *a, const struct shared_value *b);

// As + of Lua, of two numbers: integers wrap around, a float makes the sum a float. False where it is NaN.
bool shared_value_add(struct shared_value *sum, const struct shared_value *by);

// Appends a value as text: an integer as its digits; else a letter and the rest: "s" and a string, "f" and a
// float, "b1" or "b0"; none is empty.
void shared_value_write(struct buf *b, const struct shared_value *v);

// Reads it back; a string points into the text. False where it is none of these.
bool shared_value_read(struct span text, struct shared_value *v);
