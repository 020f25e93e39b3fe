// SPDX-License-Identifier: MIT
// Any site may have its own name point to 127.0.0.1; the name in Host then is the site's, and that is all
// that tells its pages from those of the server.
#include "http/loopback.h"
#include <arpa/inet.h>
#include <string.h>

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

static bool is_port(struct span s) {
  for (size_t i = 0; i < s.len; i++)
    if (s.bytes[i] < '0' || s.bytes[i] > '9') return false;
  return true;
}

bool host_is_loopback(struct span host) {
  struct span six = SPAN("[::1]"), rest = host;
  if (host.len >= six.len && span_equal((struct span){host.bytes, six.len}, six)) {
    rest = (struct span){host.bytes + six.len, host.len - six.len};
    return !rest.len || (*rest.bytes == ':' && is_port((struct span){rest.bytes + 1, rest.len - 1}));
  }
  struct span name = span_split(&rest, ':');
  if (!is_port(rest)) return false;
  if (name.len && name.bytes[name.len - 1] == '.') name.len--;
  return span_equal_nocase(name, SPAN("localhost")) || ends_with(name, SPAN(".localhost")) ||
         is_ipv4_loopback(name);
}
