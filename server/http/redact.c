// SPDX-License-Identifier: MIT
// A name is decoded before it is compared, so that no escape in it hides a secret.
#include "http/redact.h"
#include "http/query.h"

// The name as the application will read it.
bool short_names_have(const struct short_names *names, struct span name) {
  for (unsigned i = 0; i < names->count; i++)
    if (span_equal_nocase(span_of(names->list[i]), name)) return true;
  return false;
}

static bool is_secret(const struct short_names *names, struct span name, char *scratch) {
  return short_names_have(names, (struct span){scratch, percent_decode_some(name, true, scratch)});
}

static char *text_append(char *out, struct span s) {
  if (s.len) memcpy(out, s.bytes, s.len);
  return out + s.len;
}

// As span_split; whether there was a separator.
static bool split_off(struct span *rest, char separator, struct span *part) {
  size_t all = rest->len;
  *part = span_split(rest, separator);
  return part->len < all;
}

size_t redact_target(const struct short_names *names, struct span target, char *out) {
  struct span part, name;
  bool more = split_off(&target, '?', &part);
  char *at = text_append(out, part);
  if (more) *at++ = '?';
  while (target.len) {
    more = split_off(&target, '&', &part);
    bool has_value = split_off(&part, '=', &name);
    bool hides = part.len && is_secret(names, name, at);
    at = text_append(at, name);
    if (has_value) *at++ = '=';
    at = text_append(at, hides ? SPAN("***") : part);
    if (more) *at++ = '&';
  }
  return (size_t)(at - out);
}
