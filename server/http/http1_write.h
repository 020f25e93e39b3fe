// SPDX-License-Identifier: MIT
// The outgoing half of HTTP/1.
#pragma once
#include "http/proto.h"

// The two of proto_ops that write; both pay no regard to what came in.
void http1_write_head(struct proto *p, const struct response *r, struct buf *out);
struct span http1_write_end(struct proto *p, enum framing framing);
