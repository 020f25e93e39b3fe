// SPDX-License-Identifier: MIT
// Another server's answer on its way to a client, byte by byte, wholly in C. Worker thread only.
#pragma once
#include "client/fetch.h"
#include "serve/stream.h"

// Sends what has come of the answer's body (borrowed) and all that follows into the stream, whose head is
// out, and ends it as the answer ends: cut where that is, or where it is longer than was announced. Takes the
// fetch, and closes it as soon as the stream has ended.
void pass_body(struct fetch *f, struct span body, struct stream *s);
