// SPDX-License-Identifier: MIT
// Hosts, with a port or without.
#pragma once
#include <stdbool.h>
#include "base/span.h"

// True for host [":" port] of RFC 3986 with a host that is not empty.
bool is_authority(struct span s);

// The host without its port.
struct span authority_host(struct span s);

// True for those that only this machine can mean: localhost, names below it, 127.0.0.0/8 and [::1].
bool host_is_loopback(struct span host);
