// SPDX-License-Identifier: MIT
// Addresses of IPv4 and IPv6, networks of them, and the list of those that are believed.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

enum { ADDRESS_TEXT_MAX = 46, TRUSTED_MAX = 256 };

struct address {
  bool is_v4;
  unsigned char bytes[16]; // an IPv4 address as ::ffff:a.b.c.d, which is taken for one in any case
};

struct cidr {
  struct address address;
  uint8_t bits; // of the sixteen bytes
};

// Whose word about a client is believed.
struct trusted {
  bool unix_sockets; // of peers on this machine
  uint16_t count;
  struct cidr networks[TRUSTED_MAX];
};

// Reads "192.0.2.1" or "2001:db8::1"; a zone ("%eth0") is passed over. False for anything else.
bool address_parse(struct span text, struct address *out);

// Writes it in its one form; the length.
size_t address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);

// Keeps the first `bits` of an IPv6 address and sets the others to 0; an IPv4 address stays.
void address_mask_v6(struct address *a, unsigned bits);

// Reads "10.0.0.0/8", "2001:db8::/32" or an address alone.
bool cidr_parse(struct span text, struct cidr *out);

bool cidr_contains(const struct cidr *network, const struct address *a);

// True where a connection's peer, as text ("unix" for a socket of that domain), is one of them.
bool trusted_has_peer(const struct trusted *t, struct span peer);

bool trusted_has(const struct trusted *t, const struct address *a);
