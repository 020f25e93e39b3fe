// SPDX-License-Identifier: MIT
// Connection may stand in a head several times and name fields in any case. What is listed here is taken out
// whether it is named or not: some who send it do not name it.
#include "http/hop_by_hop.h"
#include "base/util.h"
#include "http/head_guard.h"

enum { NAME_MAX_LEN = 256 }; // as a script may name one

static bool is_named_in(struct span name, struct span list) {
  while (list.len)
    if (span_equal_nocase(span_trim(span_split(&list, ',')), name)) return true;
  return false;
}

bool is_hop_by_hop(struct span name, const struct field *fields, size_t count) {
  static const char *const names[] = {"connection",
                                      "keep-alive",
                                      "proxy-connection",
                                      "proxy-authenticate",
                                      "proxy-authentication-info",
                                      "proxy-authorization",
                                      "te",
                                      "trailer",
                                      "transfer-encoding",
                                      "upgrade",
                                      "content-length"};
  for (size_t i = 0; i < countof(names); i++)
    if (span_equal_nocase(name, span_of(names[i]))) return true;
  for (size_t i = 0; i < count; i++)
    if (span_equal_nocase(fields[i].name, SPAN("connection")) && is_named_in(name, fields[i].value))
      return true;
  return false;
}

bool field_is_sendable(const struct field *f) {
  for (size_t i = 0; i < f->name.len; i++)
    if (!is_tchar((unsigned char)f->name.bytes[i])) return false;
  for (size_t i = 0; i < f->value.len; i++)
    if (!is_value_byte((unsigned char)f->value.bytes[i])) return false;
  return f->name.len > 0 && f->name.len <= NAME_MAX_LEN;
}
