// SPDX-License-Identifier: MIT
// Both families are kept in sixteen bytes, so that there is one comparison.
#include "base/address.h"
#include <arpa/inet.h>

static const unsigned char MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct address address_of_bytes(const void *bytes, size_t len) {
  struct address a = {.family = ADDRESS_V6};
  memcpy(a.bytes, MAPPED, sizeof MAPPED);
  memcpy(a.bytes + sizeof a.bytes - len, bytes, len);
  if (!memcmp(a.bytes, MAPPED, sizeof MAPPED)) a.family = ADDRESS_V4;
  return a;
}

bool address_parse(struct span text, struct address *out) {
  char copy[ADDRESS_TEXT_MAX];
  unsigned char bytes[16];
  const char *zone = text.len ? memchr(text.bytes, '%', text.len) : NULL;
  size_t len = zone ? (size_t)(zone - text.bytes) : text.len;
  if (!len || len >= sizeof copy || memchr(text.bytes, 0, len)) return false;
  memcpy(copy, text.bytes, len);
  copy[len] = 0;
  bool is_v4 = inet_pton(AF_INET, copy, bytes) == 1;
  if (is_v4 ? zone != NULL : inet_pton(AF_INET6, copy, bytes) != 1) return false;
  *out = address_of_bytes(bytes, is_v4 ? 4 : sizeof bytes);
  return true;
}

// By hand: it stands in each line of the access log.
static size_t v4_text(const unsigned char *bytes, char *out) {
  char *at = out;
  for (int i = 0; i < 4; i++) {
    unsigned n = bytes[i];
    if (i) *at++ = '.';
    if (n >= 100) *at++ = (char)('0' + n / 100);
    if (n >= 10) *at++ = (char)('0' + n / 10 % 10);
    *at++ = (char)('0' + n % 10);
  }
  *at = 0;
  return (size_t)(at - out);
}

size_t address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]) {
  const char *word = a->family == ADDRESS_UNIX ? "unix" : "-";
  if (a->family == ADDRESS_V4) return v4_text(a->bytes + 12, out);
  if (a->family == ADDRESS_V6 && inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT_MAX)) return strlen(out);
  memcpy(out, word, strlen(word) + 1);
  return strlen(word);
}

void address_mask(struct address *a, unsigned bits) {
  for (unsigned i = 0; i < sizeof a->bytes; i++) {
    unsigned kept = bits < 8 ? bits : 8;
    a->bytes[i] &= (unsigned char)(0xff << (8 - kept));
    bits -= kept;
  }
}

struct address address_network(const struct address *a) {
  struct address network = *a;
  if (a->family == ADDRESS_V6) address_mask(&network, 64);
  return network;
}

bool address_is_local(const struct address *a) {
  static const unsigned char loopback[16] = {[15] = 1};
  switch (a->family) {
  case ADDRESS_V4: return a->bytes[12] == 127;
  case ADDRESS_V6: return !memcmp(a->bytes, loopback, sizeof loopback);
  default: return true;
  }
}
