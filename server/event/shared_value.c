// SPDX-License-Identifier: MIT
// Equality and addition as Lua has them, without Lua: a dictionary is changed under a lock, where no state
// may be entered. A float has 17 digits as a text, which tell all of them apart.
#include "event/shared_value.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

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

void shared_value_write(struct buf *b, const struct shared_value *v) {
  switch (v->type) {
  case SHARED_STRING: buf_append_byte(b, 's'), buf_append_span(b, v->string); break;
  case SHARED_INTEGER: buf_printf(b, "%" PRId64, v->integer); break;
  case SHARED_FLOAT: buf_printf(b, "f%.17g", v->number); break;
  case SHARED_BOOLEAN: buf_append_span(b, v->boolean ? SPAN("b1") : SPAN("b0")); break;
  case SHARED_NIL: break;
  }
}

// A number of digits that strtod and strtoll take whole.
static bool read_number(struct span text, struct shared_value *v) {
  char digits[32], *end;
  bool is_float = text.len && text.bytes[0] == 'f';
  if (is_float) text.bytes++, text.len--;
  if (!text.len || text.len >= sizeof digits) return false;
  memcpy(digits, text.bytes, text.len);
  digits[text.len] = '\0';
  errno = 0;
  v->type = is_float ? SHARED_FLOAT : SHARED_INTEGER;
  if (is_float) v->number = strtod(digits, &end);
  else v->integer = strtoll(digits, &end, 10);
  return end == digits + text.len && (is_float ? !isnan(v->number) : !errno);
}

bool shared_value_read(struct span text, struct shared_value *v) {
  *v = (struct shared_value){.type = SHARED_NIL};
  if (!text.len) return true;
  if (text.bytes[0] == 's') {
    *v = (struct shared_value){.type = SHARED_STRING, .string = {text.bytes + 1, text.len - 1}};
    return true;
  }
  if (text.bytes[0] == 'b') {
    *v = (struct shared_value){.type = SHARED_BOOLEAN, .boolean = span_equal(text, SPAN("b1"))};
    return v->boolean || span_equal(text, SPAN("b0"));
  }
  return read_number(text, v);
}
