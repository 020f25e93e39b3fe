// SPDX-License-Identifier: MIT
// Both families are kept in sixteen bytes, so that there is one comparison; the family is compared as well,
// or
// ::/0 would hold every IPv4 address.
#include "base/cidr.h"
#include <arpa/inet.h>
#include "base/util.h"

static const unsigned char MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_parse(struct span text, struct address *out) {
  char copy[ADDRESS_TEXT_MAX];
  const char *zone = text.len ? memchr(text.bytes, '%', text.len) : NULL;
  size_t len = zone ? (size_t)(zone - text.bytes) : text.len;
  if (!len || len >= sizeof copy || memchr(text.bytes, 0, len)) return false;
  memcpy(copy, text.bytes, len);
  copy[len] = 0;
  memcpy(out->bytes, MAPPED, sizeof MAPPED);
  out->is_v4 = inet_pton(AF_INET, copy, out->bytes + 12) == 1;
  if (out->is_v4) return !zone;
  if (inet_pton(AF_INET6, copy, out->bytes) != 1) return false;
  out->is_v4 = !memcmp(out->bytes, MAPPED, sizeof MAPPED);
  return true;
}

size_t address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]) {
  const void *from = a->is_v4 ? a->bytes + 12 : a->bytes;
  return inet_ntop(a->is_v4 ? AF_INET : AF_INET6, from, out, ADDRESS_TEXT_MAX) ? strlen(out) : 0;
}

static void keep_bits(unsigned char bytes[16], unsigned bits) {
  for (unsigned i = 0; i < 16; i++) {
    unsigned kept = bits < 8 ? bits : 8;
    bytes[i] &= (unsigned char)(0xff << (8 - kept));
    bits -= kept;
  }
}

void address_mask_v6(struct address *a, unsigned bits) {
  if (!a->is_v4) keep_bits(a->bytes, bits);
}

bool cidr_parse(struct span text, struct cidr *out) {
  struct span rest = text, base = span_split(&rest, '/');
  if (!address_parse(base, &out->address)) return false;
  bool is_v4 = out->address.is_v4, is_alone = base.len == text.len;
  if (is_v4 && memchr(base.bytes, ':', base.len)) return false; // whose bits would these be?
  unsigned bits = 0, max = is_v4 ? 32 : 128;
  for (size_t i = 0; i < rest.len; i++) {
    if (rest.bytes[i] < '0' || rest.bytes[i] > '9' || i > 2) return false;
    bits = bits * 10 + (unsigned)(rest.bytes[i] - '0');
  }
  if (is_alone) bits = max;
  else if (!rest.len) return false;
  if (bits > max) return false;
  out->bits = (uint8_t)(bits + 128 - max);
  keep_bits(out->address.bytes, out->bits);
  return true;
}

bool cidr_contains(const struct cidr *network, const struct address *a) {
  struct address masked = *a;
  keep_bits(masked.bytes, network->bits);
  return a->is_v4 == network->address.is_v4 &&
         !memcmp(masked.bytes, network->address.bytes, sizeof masked.bytes);
}

bool trusted_has(const struct trusted *t, const struct address *a) {
  for (unsigned i = 0; i < t->count; i++)
    if (cidr_contains(&t->networks[i], a)) return true;
  return false;
}

bool trusted_has_peer(const struct trusted *t, struct span peer) {
  struct address a;
  if (!t->count && !t->unix_sockets) return false;
  if (span_equal(peer, SPAN("unix"))) return t->unix_sockets;
  return address_parse(peer, &a) && trusted_has(t, &a);
}
