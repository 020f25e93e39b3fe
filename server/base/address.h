// SPDX-License-Identifier: MIT
// Where a peer is: an address of IPv4 or IPv6, or this machine by a socket without one.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

enum { ADDRESS_TEXT_MAX = 46 };

enum address_family { ADDRESS_NONE, ADDRESS_V4, ADDRESS_V6, ADDRESS_UNIX };

struct address {
  uint8_t family;          // enum address_family
  unsigned char bytes[16]; // an IPv4 address as ::ffff:a.b.c.d, which is taken for one in any case
};

// Reads "192.0.2.1" or "2001:db8::1"; a zone ("%eth0") is passed over. False for anything else.
bool address_parse(struct span text, struct address *out);

// An address of so many bytes, 4 or 16, as the network has them.
struct address address_of_bytes(const void *bytes, size_t len);

// Writes it in its one form, "unix", or "-" where there is none; the length.
size_t address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);

// Keeps the first `bits`; of the sixteen bytes.
void address_mask(struct address *a, unsigned bits);

// What counts as one client: the address of IPv4, the first 64 bits of one of IPv6.
struct address address_network(const struct address *a);

// True for an address of this machine's own, and for its sockets that have none.
bool address_is_local(const struct address *a);
