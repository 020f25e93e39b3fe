// SPDX-License-Identifier: MIT
// The family is compared as well, or ::/0 would hold every IPv4 address.
#include "base/cidr.h"
#include "base/digits.h"

bool cidr_parse(struct span text, struct cidr *out) {
  struct span rest = text, base = span_split(&rest, '/');
  if (!address_parse(base, &out->address)) return false;
  bool is_v4 = out->address.family == ADDRESS_V4, is_alone = base.len == text.len;
  if (is_v4 && memchr(base.bytes, ':', base.len)) return false; // whose bits would these be?
  uint64_t max = is_v4 ? 32 : 128, bits = max;
  if (!is_alone && (rest.len > 3 || !decimal_read(rest, max, &bits))) return false;
  out->bits = (uint8_t)(bits + 128 - max);
  address_mask(&out->address, out->bits);
  return true;
}

static bool cidr_contains(const struct cidr *network, const struct address *a) {
  struct address masked = *a;
  address_mask(&masked, network->bits);
  return a->family == network->address.family &&
         !memcmp(masked.bytes, network->address.bytes, sizeof masked.bytes);
}

bool trusted_has(const struct trusted *t, const struct address *a) {
  if (a->family == ADDRESS_UNIX) return t->unix_sockets;
  for (unsigned i = 0; i < t->count; i++)
    if (cidr_contains(&t->networks[i], a)) return true;
  return false;
}
