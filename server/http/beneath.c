// SPDX-License-Identifier: MIT
// Nothing is decoded on its way: what is asked for is what came, or it is not asked for at all.
#include "http/beneath.h"
#include "base/digits.h"
#include "base/util.h"

struct span path_beneath(struct span pattern, struct span path) {
  const char *last = pattern.len ? memrchr(pattern.bytes, '/', pattern.len) : NULL;
  const char *end = pattern.bytes + pattern.len, *path_end = path.bytes + path.len;
  if (!last || last + 1 == end || last[1] != '*') return (struct span){0};
  for (const char *at = pattern.bytes; at < last; at++) {
    if (*at != '/') continue;
    if (!path.len || *path.bytes != '/') return (struct span){0};
    const char *next = memchr(path.bytes + 1, '/', path.len - 1);
    path.bytes = next ? next : path_end, path.len = (size_t)(path_end - path.bytes);
  }
  return path;
}

// In place.
static size_t decode(char *bytes, size_t len) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    bool is_code =
        bytes[i] == '%' && i + 2 < len && hex_value(bytes[i + 1]) >= 0 && hex_value(bytes[i + 2]) >= 0;
    bytes[n++] = is_code ? (char)(hex_value(bytes[i + 1]) << 4 | hex_value(bytes[i + 2])) : bytes[i];
    if (is_code) i += 2;
  }
  return n;
}

// "." and "..", alone or in front of a ";".
static bool is_dots(struct span part) {
  size_t dots = 0;
  while (dots < part.len && part.bytes[dots] == '.') dots++;
  return (dots == 1 || dots == 2) && (dots == part.len || part.bytes[dots] == ';');
}

bool path_is_devious(struct span path, char *scratch) {
  size_t len = path.len;
  if (!len ||
      (!memchr(path.bytes, '%', len) && !memchr(path.bytes, ';', len) && !memchr(path.bytes, '\\', len)))
    return false;
  memcpy(scratch, path.bytes, len);
  for (int times = 0; times < 2; times++) len = decode(scratch, len);
  for (size_t i = 0; i < len; i++)
    if (scratch[i] == '\\') scratch[i] = '/';
  struct span rest = {scratch, len};
  while (rest.len)
    if (is_dots(span_split(&rest, '/'))) return true;
  return false;
}

static bool may_stand(unsigned char byte) {
  bool is_alnum =
      (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
  return is_alnum || (byte && strchr("-._~!$&'()*+,;=:@/%", byte));
}

size_t path_quote(struct span path, char *out) {
  size_t n = 0;
  for (size_t i = 0; i < path.len; i++) {
    unsigned char byte = (unsigned char)path.bytes[i];
    if (may_stand(byte)) {
      out[n++] = (char)byte;
      continue;
    }
    out[n++] = '%', out[n++] = "0123456789ABCDEF"[byte >> 4], out[n++] = "0123456789ABCDEF"[byte & 15];
  }
  return n;
}
