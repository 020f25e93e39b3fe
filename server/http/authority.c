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
  const char *end = memchr(s.bytes, ']', s.len);
  if (!end || end - s.bytes < 3) return false;
  for (const char *at = s.bytes + 1; at < end; at++)
    if (hex_value(*at) < 0 && *at != ':' && *at != '.') return false;
  return is_port(span_behind(s, (size_t)(end + 1 - s.bytes)));
}

// RFC 3986 3.2.2 without the comma, which is the sign of two Host fields joined into one.
static const bool host_bytes[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true,
    ['.'] = true,         ['_'] = true,         ['~'] = true,         ['!'] = true,
    ['$'] = true,         ['&' ... '+'] = true, [';'] = true,         ['='] = true,
};

bool is_authority(struct span s) {
  if (span_starts_with(s, SPAN("["))) return is_literal_authority(s);
  struct span host = authority_host(s), rest = host;
  for (; rest.len; rest = span_behind(rest, 1)) // the digits of an escape are bytes of a host
    if (escape_value(rest) < 0 && !host_bytes[(unsigned char)rest.bytes[0]]) return false;
  return host.len && is_port(span_behind(s, host.len));
}

struct span authority_host(struct span s) {
  const char *end = span_starts_with(s, SPAN("[")) ? memchr(s.bytes, ']', s.len) : NULL;
  struct span rest = s;
  return end ? (struct span){s.bytes, (size_t)(end + 1 - s.bytes)} : span_split(&rest, ':');
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

static bool is_below_localhost(struct span name) {
  return span_ends_with_nocase(name, SPAN(".localhost")) && name.bytes[0] != '.';
}

bool host_is_loopback(struct span host) {
  struct span name = authority_host(host);
  if (!is_port(span_behind(host, name.len))) return false;
  if (name.len && name.bytes[name.len - 1] == '.') name.len--;
  return span_equal(name, SPAN("[::1]")) || span_equal_nocase(name, SPAN("localhost")) ||
         is_below_localhost(name) || is_ipv4_loopback(name);
}
