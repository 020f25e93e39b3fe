// SPDX-License-Identifier: MIT
// Fields that are for one connection, and are not passed on by who stands between two (RFC 9110 7.6.1).
#pragma once
#include "http/request.h"

// Whether a field of this head is one: by its name, in any case, or because the head's Connection names it.
// So are those that say how a body is framed.
bool is_hop_by_hop(struct span name, const struct field *fields, size_t count);

// Whether it can be part of a head of ours.
bool field_is_sendable(const struct field *f);
