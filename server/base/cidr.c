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

static bool is_in(const struct address *a, const char *const *networks) {
  struct cidr network;
  for (; *networks; networks++)
    if (cidr_parse(span_of(*networks), &network) && cidr_contains(&network, a)) return true;
  return false;
}

// The four bytes from `at` on as an address of IPv4.
static bool embeds_private(const struct address *a, size_t at) {
  struct address inner = address_of_bytes(a->bytes + at, 4);
  return address_is_private(&inner);
}

// What the IANA's registries of special addresses (RFC 6890) do not call globally reachable.
bool address_is_private(const struct address *a) {
  static const char *const networks[] = {"0.0.0.0/8",       "10.0.0.0/8",
                                         "100.64.0.0/10",   "127.0.0.0/8",
                                         "169.254.0.0/16",  "172.16.0.0/12",
                                         "192.0.0.0/24",    "192.0.2.0/24",
                                         "192.168.0.0/16",  "198.18.0.0/15",
                                         "198.51.100.0/24", "203.0.113.0/24",
                                         "224.0.0.0/4",     "240.0.0.0/4",
                                         "::/96",           "64:ff9b:1::/48",
                                         "100::/64",        "2001::/23",
                                         "2001:db8::/32",   "3fff::/20",
                                         "5f00::/16",       "fc00::/7",
                                         "fe80::/10",       "fec0::/10",
                                         "ff00::/8",        NULL};
  static const char *const nat64[] = {"64:ff9b::/96", NULL}, *const six_to_four[] = {"2002::/16", NULL};
  if (a->family != ADDRESS_V4 && a->family != ADDRESS_V6) return true;
  if (is_in(a, nat64)) return embeds_private(a, 12);
  if (is_in(a, six_to_four)) return embeds_private(a, 2);
  return is_in(a, networks);
}
