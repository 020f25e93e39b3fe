// SPDX-License-Identifier: MIT
// What a client would rather have: which type of an answer of the server's own (Accept, RFC 9110 12.5.1), and
// in which coding (Accept-Encoding, 12.5.3).
#pragma once
#include "http/request.h"

// True where Accept puts application/json before text/plain: a higher quality, or the same and named rather
// than matched by a wildcard, or named first.
bool accept_prefers_json(const struct request *r);

enum encoding { ENCODING_IDENTITY, ENCODING_BR, ENCODING_GZIP, ENCODING_COUNT };

// The codings that the client accepts and prefers to none, best first; br before gzip where it likes both
// alike. Their number.
size_t encoding_preferred(const struct request *r, enum encoding out[ENCODING_COUNT]);

// Whether it accepts gzip, and likes it no less than none.
bool encoding_takes_gzip(const struct request *r);
