// SPDX-License-Identifier: MIT
// Passwords as texts to keep: yescrypt by libxcrypt, which takes a twentieth of a second and 16 MB on
// purpose. Any thread; a loop's would be held up.
#pragma once
#include <stdbool.h>
#include "base/span.h"

enum { PASSWORD_MAX = 511, PASSWORD_HASH_LEN = 384, PASSWORD_COST_MAX = 11 };

// Whether it can be hashed: no NUL, which would end it, and not too long.
bool password_can_be(struct span password);

// Whether it is the hash of a password, of a kind that is not outdated.
bool password_is_hash(struct span hash);

// Writes to `hash`, with room for PASSWORD_HASH_LEN bytes, a hash with fresh salt. Each step of `cost`
// doubles time and memory; 0: the library's own. False where the library refuses.
bool password_hash(const char *password, unsigned cost, char *hash);

// Whether `hash`, for which password_is_hash, is that of the password. The comparison takes the same time
// wherever they differ.
bool password_verify(const char *password, const char *hash);
