// SPDX-License-Identifier: MIT
// Makes a request of a complete head that the guard has passed.
#pragma once
#include "http/proto.h"
#include "http/refusal.h"

// The version of the parser, static.
const char *head_library_version(void);

// Parses and checks `head`, which has `field_count` fields. Accepted: *out is a request of the caller's; else
// it is NULL. Worker thread.
struct refusal head_parse(struct span head, size_t field_count, struct request **out);

// What the parts of a parsed head mean together, and whether that can be served: fills in everything that
// follows from the method, the version, the target and the fields: path, query, host, body, keep_alive,
// expect_continue. Worker thread.
struct refusal head_check(struct request *r);
