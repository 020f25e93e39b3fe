// SPDX-License-Identifier: MIT
// What a proxy in front says of the request that it passes on: X-Forwarded-For, -Proto, -Host. All of it is
// ignored unless the request came from a proxy that is trusted (request.from_proxy).
#pragma once
#include "base/cidr.h"
#include "http/request.h"

// Writes the client's address: the rightmost that is not one of the trusted. 0: nothing that can be believed
// is said, and the peer is all that is known.
size_t forwarded_address(const struct request *r, const struct trusted *t, char out[ADDRESS_TEXT_MAX]);

// "http" or "https": the proxy's word, else how the request came to us.
struct span forwarded_scheme(const struct request *r);

// The host, with its port where it has one: the proxy's word, else the request's own.
struct span forwarded_host(const struct request *r);
