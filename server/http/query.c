// SPDX-License-Identifier: MIT
// Takes a query, a Cookie field and percent-encoding apart. Nothing here allocates or keeps state: every span
// handed out points into the caller's bytes, and each call takes at least one byte off or says that it is the
// end. What a decoded byte may be is the caller's to judge: a query may well carry NUL or a line end.
#include "http/query.h"
#include "base/digits.h"

// Takes a byte off the front, decoded where it is encoded.
static char take_byte(struct span *in, bool plus) {
  int byte = escape_value(*in);
  char c = byte >= 0 ? (char)byte : plus && *in->bytes == '+' ? ' ' : *in->bytes;
  *in = span_behind(*in, byte < 0 ? 1 : 3);
  return c;
}

long percent_decode(struct span in, bool plus, char *out) {
  char *to = out;
  while (in.len) {
    if (*in.bytes == '%' && escape_value(in) < 0) return -1;
    *to++ = take_byte(&in, plus);
  }
  return to - out;
}

size_t percent_decode_some(struct span in, bool plus, char *out) {
  char *to = out;
  while (in.len) *to++ = take_byte(&in, plus);
  return (size_t)(to - out);
}

bool query_next(struct span *query, struct span *name, struct span *value) {
  while (query->len) {
    struct span pair = span_split(query, '&');
    if (!pair.len) continue;
    *name = span_split(&pair, '=');
    *value = pair;
    return true;
  }
  return false;
}

static struct span unquote(struct span s) {
  bool quoted = s.len >= 2 && s.bytes[0] == '"' && s.bytes[s.len - 1] == '"';
  return quoted ? (struct span){s.bytes + 1, s.len - 2} : s;
}

// A part without '=' or without a name is passed over: browsers send such cookies, and their text could pass
// for another cookie's name.
bool cookie_next(struct span *cookies, struct span *name, struct span *value) {
  while (cookies->len) {
    struct span pair = span_split(cookies, ';');
    bool has_value = memchr(pair.bytes, '=', pair.len);
    *name = span_trim(span_split(&pair, '='));
    *value = unquote(span_trim(pair));
    if (has_value && name->len) return true;
  }
  return false;
}
