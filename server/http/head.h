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
