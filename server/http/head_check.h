// SPDX-License-Identifier: MIT
// What the parts of a parsed head mean together, and whether that can be served.
#pragma once
#include "http/proto.h"
#include "http/refusal.h"

// Fills in everything that follows from the method, the version, the target and the fields: path, query,
// host, body, keep_alive, expect_continue. Worker thread.
struct refusal head_check(struct request *r);

// True for host [":" port] of RFC 3986 with a host that is not empty.
bool is_authority(struct span s);
