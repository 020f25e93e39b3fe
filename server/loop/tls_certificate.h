// SPDX-License-Identifier: MIT
// Certificates as texts, and one made by ourselves.
#pragma once
#include "base/buf.h"

struct ssl_st;

// As transport_tls_describe.
void tls_connection_describe(const struct ssl_st *ssl, struct buf *out);

// Writes a certificate for localhost that is its own issuer, with its key, valid for a year. -1 with errno
// where a file cannot be written. Any thread.
int tls_certificate_make(const char *cert, const char *key);
