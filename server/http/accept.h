// SPDX-License-Identifier: MIT
// What a client would rather read (RFC 9110 12.5.1), as far as an answer of the server itself depends on it.
#pragma once
#include "http/request.h"

// True where Accept puts application/json before text/plain: a higher quality, or the same and named rather
// than matched by a wildcard, or named first.
bool accept_prefers_json(const struct request *r);
