// SPDX-License-Identifier: MIT
// Signatures of JSON Web Tokens (RFC 7518, RFC 8037) by OpenSSL. A key has one algorithm, for good. Knows no
// Lua.
#pragma once
#include <openssl/evp.h>
#include <stdbool.h>
#include "base/span.h"

struct jws_algorithm;

struct jws_key {
  const struct jws_algorithm *algorithm;
  EVP_PKEY *key;
};

// Reads the secret, or the public key in PEM, that is to be used with the algorithm. NULL, or a static text
// that says what makes it useless. Deinit with jws_key_deinit where it was NULL. Any thread.
const char *jws_key_init(struct jws_key *k, const char *algorithm, struct span text);
void jws_key_deinit(struct jws_key *k);

// Whether the signature, as a token has it once decoded, is the key's for these bytes. Any thread.
bool jws_verify(const struct jws_key *k, struct span input, struct span signature);
