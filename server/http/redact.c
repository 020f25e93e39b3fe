// SPDX-License-Identifier: MIT
// A name is decoded before it is compared, so that no escape in it hides a secret; what cannot be decoded is
// compared with nothing.
#include "http/redact.h"
#include "http/query.h"

// The name as the application will read it.
bool short_names_have(const struct short_names *names, struct span name) {
  for (unsigned i = 0; i < names->count; i++)
    if (span_equal_nocase(span_of(names->list[i]), name)) return true;
  return false;
}

static bool is_secret(const struct short_names *names, struct span name) {
  char decoded[SHORT_NAME_MAX * 3];
  if (name.len >= sizeof decoded) return false; // longer than any of ours, encoded as it may be
  long len = percent_decode(name, true, decoded);
  return len >= 0 && short_names_have(names, (struct span){decoded, (size_t)len});
}

static char *text_append(char *out, struct span s) {
  if (s.len) memcpy(out, s.bytes, s.len);
  return out + s.len;
}

size_t redact_target(const struct short_names *names, struct span target, char *out) {
  struct span query = target;
  char *at = text_append(out, span_split(&query, '?'));
  if (query.bytes == target.bytes + target.len && !query.len && (!target.len || query.bytes[-1] != '?'))
    return (size_t)(at - out); // no '?'
  for (char before = '?'; query.len || before == '?'; before = '&') {
    struct span value = span_split(&query, '&'), name = span_split(&value, '=');
    bool has_value = value.bytes != name.bytes + name.len;
    *at++ = before;
    at = text_append(at, name);
    if (has_value) *at++ = '=';
    at = text_append(at, value.len && is_secret(names, name) ? SPAN("***") : value);
  }
  if (target.len && target.bytes[target.len - 1] == '&') *at++ = '&';
  return (size_t)(at - out);
}
