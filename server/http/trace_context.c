// SPDX-License-Identifier: MIT
// version "-" trace-id "-" parent-id "-" flags; a version that is not known may add more behind a '-' (W3C
// Trace Context, 3.2 and 4.3).
#include "http/trace_context.h"
#include <string.h>

enum {
  TRACE_AT = 3,
  PARENT_AT = TRACE_AT + TRACE_ID_LEN + 1,
  FLAGS_AT = PARENT_AT + SPAN_ID_LEN + 1,
  LEN = FLAGS_AT + 2
};

// So many lower-case hex digits; `nonzero`: of which one is not 0.
static bool is_hex(const char *at, size_t len, bool nonzero) {
  bool any = false;
  for (size_t i = 0; i < len; i++) {
    bool digit = at[i] >= '0' && at[i] <= '9';
    if (!digit && !(at[i] >= 'a' && at[i] <= 'f')) return false;
    any |= at[i] != '0';
  }
  return any || !nonzero;
}

static bool is_valid(struct span s) {
  const char *at = s.bytes;
  if (s.len < LEN || at[TRACE_AT - 1] != '-' || at[PARENT_AT - 1] != '-' || at[FLAGS_AT - 1] != '-')
    return false;
  bool form = is_hex(at, 2, false) && is_hex(at + TRACE_AT, TRACE_ID_LEN, true) &&
              is_hex(at + PARENT_AT, SPAN_ID_LEN, true) && is_hex(at + FLAGS_AT, 2, false);
  bool is_00 = !memcmp(at, "00", 2), is_ff = !memcmp(at, "ff", 2);
  return form && !is_ff && (s.len == LEN || (!is_00 && at[LEN] == '-'));
}

bool trace_context_read(const struct request *r, struct trace_context *c) {
  struct span found = {0};
  size_t count = 0;
  for (size_t i = 0; i < r->field_count; i++)
    if (span_equal(r->fields[i].name, SPAN("traceparent"))) found = r->fields[i].value, count++;
  if (count != 1 || !is_valid(found)) return false;
  *c = (struct trace_context){{found.bytes + TRACE_AT, TRACE_ID_LEN},
                              {found.bytes + PARENT_AT, SPAN_ID_LEN},
                              {found.bytes + FLAGS_AT, 2}};
  return true;
}
