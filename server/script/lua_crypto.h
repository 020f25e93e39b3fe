// SPDX-License-Identifier: MIT
// What the library's middleware needs of cryptography, in the table core.
#pragma once
#include <lua.h>

// Adds to the table on top of the stack:
//   hmac(key, text)         HMAC-SHA256, 32 bytes
//   equal(a, b)             whether two strings are the same, in a time that does not tell where they differ
//   base64url(bytes), base64url_decode(text), base64_decode(text)
//                           RFC 4648; nil for what is not exactly that
//   jwt_key(alg, text)      a key for tokens; nil and what makes the text useless as one
//   jwt_verify(key, token)  whether the token (RFC 7519) is signed so
//   network(address)        an IPv6 address's first 64 bits, which one client has to itself; others as they
//   are
void crypto_open(lua_State *L);
