// SPDX-License-Identifier: MIT
// Decoding of what a target and a Cookie field carry.
#pragma once
#include <stdbool.h>
#include "base/span.h"

// Decodes %XX (and '+' as a blank where `plus`) from `in` to `out`, which has room for in.len bytes and may
// be in.bytes itself. Returns the decoded length, or -1 at a '%' without two hex digits.
long percent_decode(struct span in, bool plus, char *out);

// The same where a '%' without two hex digits stands for itself, as in forms (WHATWG URL 5.1). Returns the
// decoded length.
size_t percent_decode_some(struct span in, bool plus, char *out);

// Takes the next pair off the front of a query (still encoded: name and value point into it; a pair without
// '=' has an empty value, empty pairs are passed over). False at the end.
bool query_next(struct span *query, struct span *name, struct span *value);

// Takes the next cookie off the front of a Cookie field (RFC 6265 5.4; quotes around a value are taken off).
// False at the end.
bool cookie_next(struct span *cookies, struct span *name, struct span *value);
