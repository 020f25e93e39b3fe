// SPDX-License-Identifier: MIT
// Equality and addition as Lua has them, without Lua: a dictionary is changed under a lock, where no state
// may be entered.
#include "event/shared_value.h"
#include <math.h>

// Not by conversion of the integer, which may round.
static bool equals_integer(double x, int64_t n) {
  return x >= -9223372036854775808.0 && x < 9223372036854775808.0 && (int64_t)x == n &&
         (double)(int64_t)x == x;
}

bool shared_value_equal(const struct shared_value *a, const struct shared_value *b) {
  if (a->type == SHARED_INTEGER && b->type == SHARED_FLOAT) return equals_integer(b->number, a->integer);
  if (a->type == SHARED_FLOAT && b->type == SHARED_INTEGER) return equals_integer(a->number, b->integer);
  if (a->type != b->type) return false;
  switch (a->type) {
  case SHARED_STRING: return span_equal(a->string, b->string);
  case SHARED_INTEGER: return a->integer == b->integer;
  case SHARED_FLOAT: return a->number == b->number;
  case SHARED_BOOLEAN: return a->boolean == b->boolean;
  case SHARED_NIL: break;
  }
  return true;
}

static double to_double(const struct shared_value *v) {
  return v->type == SHARED_INTEGER ? (double)v->integer : v->number;
}

bool shared_value_add(struct shared_value *sum, const struct shared_value *by) {
  if (sum->type == SHARED_INTEGER && by->type == SHARED_INTEGER) {
    sum->integer = (int64_t)((uint64_t)sum->integer + (uint64_t)by->integer);
    return true;
  }
  double total = to_double(sum) + to_double(by);
  *sum = (struct shared_value){.type = SHARED_FLOAT, .number = total};
  return !isnan(total);
}
