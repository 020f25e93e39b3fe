// SPDX-License-Identifier: MIT
// A path is split before it is decoded, so that an encoded slash stays inside its segment. It is checked
// after: what no file name can hold (NUL) and what leads out of a folder (dot segments) is refused for every
// path, whatever routes there are; any other byte is a parameter's right (RFC 3986 2.1). An encoded slash
// does not hide a dot segment either: "..%2Fx" is refused, since a handler may hand the decoded text to the
// file system.
#include "http/route_path.h"
#include <stdint.h>
#include "http/query.h"

static bool has_dot_segment(struct span text) {
  while (text.len) {
    struct span segment = span_split(&text, '/');
    if (span_equal(segment, SPAN(".")) || span_equal(segment, SPAN(".."))) return true;
  }
  return false;
}

bool route_text_is_valid(struct span text) {
  if (!text.len) return true;
  return !memchr(text.bytes, 0, text.len) && (!memchr(text.bytes, '.', text.len) || !has_dot_segment(text));
}

// Decodes to `out` where there is anything to decode, else copies. Returns the length or -1.
static long segment_read(struct span raw, char *out) {
  if (!raw.len) return 0;
  if (memchr(raw.bytes, '%', raw.len)) return percent_decode(raw, false, out);
  memcpy(out, raw.bytes, raw.len);
  return (long)raw.len;
}

int route_path_read(struct route_path *p, struct span raw, char *scratch) {
  const char *end = raw.bytes + raw.len, *slash;
  span_split(&raw, '/'); // nothing
  const char *at = raw.bytes;
  char *out = scratch;
  p->count = 0;
  do {
    slash = memchr(at, '/', (size_t)(end - at));
    long len = segment_read((struct span){at, (size_t)((slash ? slash : end) - at)}, out);
    if (len < 0) return -1;
    if (p->count < ROUTE_SEGMENTS_MAX) p->segments[p->count] = (struct span){out, (size_t)len};
    p->count++, out += len;
    if (slash) *out++ = '/', at = slash + 1;
  } while (slash);
  p->text = (struct span){scratch, (size_t)(out - scratch)};
  return route_text_is_valid(p->text) ? 0 : -1;
}
