// SPDX-License-Identifier: MIT
// Takes a query, a Cookie field and percent-encoding apart. Nothing here allocates or keeps state: every span
// handed out points into the caller's bytes, and each call takes at least one byte off or says that it is the
// end. What a decoded byte may be is the caller's to judge: a query may well carry NUL or a line end.
#include "http/query.h"
#include "base/digits.h"

// The byte that the escape at `at` stands for, or -1.
static int escape_value(const char *at, size_t left) {
  if (left < 3) return -1;
  int high = hex_value(at[1]), low = hex_value(at[2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

long percent_decode(struct span in, bool plus, char *out) {
  char *to = out;
  for (size_t i = 0; i < in.len; i++) {
    int byte = in.bytes[i];
    if (byte == '%') {
      byte = escape_value(in.bytes + i, in.len - i);
      if (byte < 0) return -1;
      i += 2;
    } else if (byte == '+' && plus) {
      byte = ' ';
    }
    *to++ = (char)byte;
  }
  return to - out;
}

size_t form_unescape(struct span in, char *out) {
  char *to = out;
  for (size_t i = 0; i < in.len; i++) {
    int byte = in.bytes[i] == '%' ? escape_value(in.bytes + i, in.len - i) : -1;
    if (byte >= 0) i += 2;
    else byte = in.bytes[i] == '+' ? ' ' : in.bytes[i];
    *to++ = (char)byte;
  }
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
    if (!pair.len || !memchr(pair.bytes, '=', pair.len)) continue;
    *name = span_trim(span_split(&pair, '='));
    *value = unquote(span_trim(pair));
    if (name->len) return true;
  }
  return false;
}
