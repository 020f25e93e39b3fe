// SPDX-License-Identifier: MIT
// The answers that are the server's own: to what no application answers.
#pragma once
#include "serve/stream.h"

struct conn;

// Answers a request with a status and why: as text, or as JSON where the client prefers it. `why` is plain
// ASCII without quotes.
void error_reply(struct stream *s, int status, const char *why);

// Answers bytes of which no request came, as text. True where the client was sent it.
bool error_refuse(struct conn *c, int status, const char *why);
