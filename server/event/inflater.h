// SPDX-License-Identifier: MIT
// Reads what is compressed as gzip or zlib have it (RFC 1952, RFC 1950), as its bytes come. One thread at a
// time.
#pragma once
#include <stdbool.h>
#include "base/buf.h"

struct inflater;

// The caller owns it.
struct inflater *inflater_new(void);
void inflater_free(struct inflater *i); // NULL is allowed

// Appends to `out`, which is empty, what the bytes hold. NULL; or why they can be read no further: no such
// bytes, something behind their end, or more than `max` bytes in them. What was read until then is in `out`.
const char *inflater_feed(struct inflater *i, struct span bytes, size_t max, struct buf *out);

// Whether the end has come, and its sum is right.
bool inflater_has_ended(const struct inflater *i);
