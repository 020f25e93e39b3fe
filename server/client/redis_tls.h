// SPDX-License-Identifier: MIT
// A transport over another: TLS 1.2 or 1.3 as a client, by OpenSSL, between them. Whatever the transport
// below is, its bytes are what goes over the wire. The loop's thread only.
#pragma once
#include "client/redis_address.h"
#include "loop/transport.h"

// Takes `under`, also where it fails: NULL then, with a reason in *wrong. `host` is who has to be there, as
// its certificate says, unless the address says that nobody asks.
struct transport *redis_tls_new(struct transport *under, const struct redis_address *address,
                                const char *host, const char **wrong);

// What went wrong, where on_error has been told of it; borrowed. NULL: the transport below is broken.
const char *redis_tls_error(const struct transport *t);
