// SPDX-License-Identifier: MIT
// Heads of HTTP/1.
#pragma once
#include "http/proto.h"

// Writes a response's head for a client that speaks HTTP/1.`minor`.
void http1_write_head(const struct response *r, int minor, struct buf *out);
