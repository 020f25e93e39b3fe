// SPDX-License-Identifier: MIT
// The access log: a line for each request, for an event stream one at its open and one at its close.
#pragma once
#include "serve/conn.h"
#include "serve/stream.h"

void access_opened(const struct stream *s);
void access_closed(const struct stream *s, enum close_reason reason);
void access_refused(const struct conn *c, int status, const char *why);
