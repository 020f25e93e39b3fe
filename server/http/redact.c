// SPDX-License-Identifier: MIT
#include "http/redact.h"
#include "http/query.h"

// The name as the application will read it.
static bool is_secret(const struct short_names *names, struct span name) {
  char decoded[SHORT_NAME_MAX * 3];
  if (name.len >= sizeof decoded) return false; // longer than any of ours, encoded as it may be
  long len = percent_decode(name, true, decoded);
  return len >= 0 && short_names_have(names, (struct span){decoded, (size_t)len});
}

static char *append(char *out, struct span s) {
  if (s.len) memcpy(out, s.bytes, s.len);
  return out + s.len;
}

size_t redact_target(const struct short_names *names, struct span target, char *out) {
  struct span query = target;
  char *at = append(out, span_split(&query, '?'));
  if (query.bytes == target.bytes + target.len && !query.len && (!target.len || query.bytes[-1] != '?'))
    return (size_t)(at - out); // no '?'
  for (char before = '?'; query.len || before == '?'; before = '&') {
    struct span value = span_split(&query, '&'), name = span_split(&value, '=');
    bool has_value = value.bytes != name.bytes + name.len;
    *at++ = before;
    at = append(at, name);
    if (has_value) *at++ = '=';
    at = append(at, value.len && is_secret(names, name) ? SPAN("***") : value);
  }
  if (target.len && target.bytes[target.len - 1] == '&') *at++ = '&';
  return (size_t)(at - out);
}
