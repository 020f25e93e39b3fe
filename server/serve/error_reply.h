// SPDX-License-Identifier: MIT
// The answers that are the server's own: to what no application answers.
#pragma once
#include "serve/stream.h"

// Answers a request with a status and why: as text, or as JSON where the client prefers it. `why` is plain
// ASCII without quotes.
void error_reply(struct stream *s, int status, const char *why);

// Writes to `out` the answer to bytes of which no request came, as text. False where the protocol has a frame
// of its own for that, which it fills in next.
bool error_refuse(struct carrier *c, struct proto *p, int status, const char *why, struct buf *out);
