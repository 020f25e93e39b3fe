// SPDX-License-Identifier: MIT
// Nothing is decoded on its way: what is asked for is what came, or it is not asked for at all.
#include "http/beneath.h"
#include "http/query.h"
#include "http/route_pattern.h"

struct span path_beneath(struct span pattern, struct span path) {
  struct route_pattern p;
  char error[ROUTER_ERROR_MAX];
  if (route_pattern_read(&p, pattern, error) < 0 || p.segments[p.count - 1].kind != SEGMENT_REST)
    return (struct span){0};
  for (size_t i = 0; i < p.count; i++) span_split(&path, '/'); // nothing, and the segments before the last
  if (!path.len) return (struct span){0};
  return (struct span){path.bytes - 1, path.len + 1}; // with its slash
}

// "." and "..", alone or in front of a ";".
static bool is_dots(struct span part) {
  struct span name = span_split(&part, ';');
  return span_equal(name, SPAN(".")) || span_equal(name, SPAN(".."));
}

bool path_is_devious(struct span path, char *scratch) {
  struct span rest = path;
  for (int times = 0; times < 2; times++)
    rest = (struct span){scratch, percent_decode_some(rest, false, scratch)};
  for (size_t i = 0; i < rest.len; i++)
    if (scratch[i] == '\\') scratch[i] = '/';
  while (rest.len)
    if (is_dots(span_split(&rest, '/'))) return true;
  return false;
}

// pchar of RFC 3986 3.3, and what is between segments or escaped.
static const bool path_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
    ['$' ... '/'] = true, [':'] = true,         [';'] = true,         ['='] = true,
    ['@'] = true,         ['_'] = true,         ['~'] = true,
};

size_t path_quote(struct span path, char *out) {
  size_t n = 0;
  for (size_t i = 0; i < path.len; i++) {
    unsigned char byte = (unsigned char)path.bytes[i];
    if (path_bytes[byte]) {
      out[n++] = (char)byte;
      continue;
    }
    out[n++] = '%', out[n++] = "0123456789ABCDEF"[byte >> 4], out[n++] = "0123456789ABCDEF"[byte & 15];
  }
  return n;
}
