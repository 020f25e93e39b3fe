// SPDX-License-Identifier: MIT
// Networks of IPv4 and IPv6, and the list of those that are believed.
#pragma once
#include "base/address.h"

enum { TRUSTED_MAX = 256 };

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

// Reads "10.0.0.0/8", "2001:db8::/32" or an address alone.
bool cidr_parse(struct span text, struct cidr *out);

// True for what is not the public's: addresses of this machine, of its link and of private networks, reserved
// ones and multicast, also where one of IPv6 stands for such a one of IPv4.
bool address_is_private(const struct address *a);

bool trusted_has(const struct trusted *t, const struct address *a);
