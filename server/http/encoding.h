// SPDX-License-Identifier: MIT
// The Accept-Encoding field (RFC 9110 12.5.3): in which coding the client would have it.
#pragma once
#include "http/request.h"

enum encoding { ENCODING_IDENTITY, ENCODING_BR, ENCODING_GZIP, ENCODING_COUNT };

// The codings that the client accepts and prefers to none, best first; br before gzip where it likes both
// alike. Their number.
size_t encoding_preferred(const struct request *r, enum encoding out[ENCODING_COUNT]);
