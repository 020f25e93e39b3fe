// SPDX-License-Identifier: MIT
// host [":" port] as Host and targets have it. Any site may have its own name point to 127.0.0.1; the name in
// Host then is the site's, and that is all that tells its pages from those of the server: a loopback host is
// one that only this machine can mean.
#include "http/authority.h"
#include <arpa/inet.h>
#include <string.h>
#include "base/digits.h"

// ":80", ":" or nothing, behind a host.
static bool is_port(struct span s) {
  uint64_t port;
  if (s.len <= 1) return !s.len || s.bytes[0] == ':';
  return s.bytes[0] == ':' && s.len <= 6 && decimal_read((struct span){s.bytes + 1, s.len - 1}, 65535, &port);
}

// "[::1]" and what follows. Whether the address is one does not matter here, only where it ends.
static bool is_literal_authority(struct span s) {
  size_t i = 1;
  while (i < s.len && (hex_value(s.bytes[i]) >= 0 || s.bytes[i] == ':' || s.bytes[i] == '.')) i++;
  return i > 2 && i < s.len && s.bytes[i] == ']' && is_port((struct span){s.bytes + i + 1, s.len - i - 1});
}

// RFC 3986 3.2.2 without the comma, which is the sign of two Host fields joined into one.
static const bool host_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true,
    ['.'] = true,         ['_'] = true,         ['~'] = true,         ['!'] = true,
    ['$'] = true,         ['&' ... '+'] = true, [';'] = true,         ['='] = true,
};

bool is_authority(struct span s) {
  if (s.len && s.bytes[0] == '[') return is_literal_authority(s);
  size_t i = 0;
  while (i < s.len && s.bytes[i] != ':') {
    if (s.bytes[i] == '%' && s.len - i > 2 && hex_value(s.bytes[i + 1]) >= 0 &&
        hex_value(s.bytes[i + 2]) >= 0)
      i += 3;
    else if (host_bytes[(unsigned char)s.bytes[i]]) i++;
    else return false;
  }
  return i > 0 && is_port((struct span){s.bytes + i, s.len - i});
}

struct span authority_host(struct span s) {
  const char *end = s.len && s.bytes[0] == '[' ? memchr(s.bytes, ']', s.len) : NULL;
  const char *colon = !end && s.len ? memchr(s.bytes, ':', s.len) : NULL;
  return (struct span){s.bytes, end     ? (size_t)(end + 1 - s.bytes)
                                : colon ? (size_t)(colon - s.bytes)
                                        : s.len};
}

enum { IPV4_MAX = 15 };

static bool is_ipv4_loopback(struct span name) {
  char text[IPV4_MAX + 1];
  struct in_addr address;
  if (name.len > IPV4_MAX) return false;
  memcpy(text, name.bytes, name.len);
  text[name.len] = 0;
  return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static bool ends_with(struct span name, struct span end) {
  return name.len > end.len &&
         span_equal_nocase((struct span){name.bytes + name.len - end.len, end.len}, end);
}

bool host_is_loopback(struct span host) {
  struct span six = SPAN("[::1]");
  if (host.len >= six.len && span_equal((struct span){host.bytes, six.len}, six)) {
    struct span rest = {host.bytes + six.len, host.len - six.len};
    return is_port(rest);
  }
  const char *colon = host.len ? memchr(host.bytes, ':', host.len) : NULL;
  struct span name = {host.bytes, colon ? (size_t)(colon - host.bytes) : host.len};
  if (!is_port((struct span){host.bytes + name.len, host.len - name.len})) return false;
  if (name.len && name.bytes[name.len - 1] == '.') name.len--;
  return span_equal_nocase(name, SPAN("localhost")) || ends_with(name, SPAN(".localhost")) ||
         is_ipv4_loopback(name);
}
