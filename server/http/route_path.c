// SPDX-License-Identifier: MIT
// A path is split before it is decoded, so that an encoded slash stays inside its segment. It is checked
// after: what no file name should hold (control characters, broken UTF-8, dot segments) is refused for every
// path, whatever routes there are. An encoded slash does not hide a dot segment either: "..%2Fx" is refused,
// since a handler may hand the decoded text to the file system.
#include "http/route_path.h"
#include <stdint.h>
#include "http/query.h"

enum { BYTE_CONTROL = 1, BYTE_HIGH = 2, BYTE_DOT = 4 };

static const uint8_t byte_kind[256] = {
    [0x00 ... 0x1F] = BYTE_CONTROL, ['.'] = BYTE_DOT, [0x7F] = BYTE_CONTROL, [0x80 ... 0xFF] = BYTE_HIGH};

// The length of the UTF-8 sequence at `s`; 0 where it is cut off, overlong, a surrogate or above U+10FFFF
// (table 3-7 of the Unicode standard).
static size_t sequence_len(const unsigned char *s, size_t left) {
  if (s[0] < 0x80) return 1;
  size_t len = s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
  if (!len || len > left) return 0;
  unsigned low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
  unsigned high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
  if (s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i < len; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  return len;
}

static bool is_utf8(struct span text) {
  const unsigned char *bytes = (const unsigned char *)text.bytes;
  for (size_t i = 0, len; i < text.len; i += len) {
    len = sequence_len(bytes + i, text.len - i);
    if (!len) return false;
  }
  return true;
}

static bool has_dot_segment(struct span text) {
  while (text.len) {
    struct span segment = span_split(&text, '/');
    if (span_equal(segment, SPAN(".")) || span_equal(segment, SPAN(".."))) return true;
  }
  return false;
}

bool route_text_is_valid(struct span text) {
  unsigned seen = 0;
  for (size_t i = 0; i < text.len; i++) seen |= byte_kind[(unsigned char)text.bytes[i]];
  if (seen & BYTE_CONTROL) return false;
  if ((seen & BYTE_HIGH) && !is_utf8(text)) return false;
  return !(seen & BYTE_DOT) || !has_dot_segment(text);
}

// Decodes to `out` where there is anything to decode, else copies. Returns the length or -1.
static long segment_read(struct span raw, char *out) {
  if (!raw.len) return 0;
  if (memchr(raw.bytes, '%', raw.len)) return percent_decode(raw, false, out);
  memcpy(out, raw.bytes, raw.len);
  return (long)raw.len;
}

int route_path_read(struct route_path *p, struct span raw, char *scratch) {
  const char *at = raw.bytes + 1, *end = raw.bytes + raw.len, *slash;
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
