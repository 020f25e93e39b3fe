// SPDX-License-Identifier: MIT
// version "-" trace-id "-" parent-id "-" flags; a version that is not known may add more behind a '-' (W3C
// Trace Context, 3.2 and 4.3).
#include "http/trace_context.h"
#include "base/digits.h"

enum { LEN = sizeof "00-" - 1 + TRACE_ID_LEN + 1 + SPAN_ID_LEN + sizeof "-00" - 1 };

// So many lower-case hex digits.
static bool is_hex(struct span s, size_t len) {
  for (size_t i = 0; i < s.len; i++)
    if (!is_digit(s.bytes[i]) && (s.bytes[i] < 'a' || s.bytes[i] > 'f')) return false;
  return s.len == len;
}

static bool is_id(struct span s, size_t len) {
  static const char zeros[TRACE_ID_LEN + 1] = "00000000000000000000000000000000";
  return is_hex(s, len) && memcmp(s.bytes, zeros, len) != 0;
}

static bool read_parent(struct span s, struct trace_context *c) {
  size_t len = s.len;
  struct span version = span_split(&s, '-');
  c->trace_id = span_split(&s, '-'), c->parent_id = span_split(&s, '-'), c->flags = span_split(&s, '-');
  return is_hex(version, 2) && !span_equal(version, SPAN("ff")) && is_id(c->trace_id, TRACE_ID_LEN) &&
         is_id(c->parent_id, SPAN_ID_LEN) && is_hex(c->flags, 2) &&
         (len == LEN || !span_equal(version, SPAN("00")));
}

bool trace_context_read(const struct request *r, struct trace_context *c) {
  const struct field *found = NULL;
  for (size_t i = 0; i < r->field_count; i++) {
    if (!span_equal(r->fields[i].name, SPAN("traceparent"))) continue;
    if (found) return false;
    found = &r->fields[i];
  }
  return found && read_parent(found->value, c);
}
