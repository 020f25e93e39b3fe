// SPDX-License-Identifier: MIT
// The access log: a line for each request, for an event stream one at its open and one at its close.
#pragma once
#include "serve/stream.h"

// Writes the client's address, as the lines have it: what a trusted proxy says, else the peer's; its length.
size_t access_client(const struct stream *s, char out[ADDRESS_TEXT_MAX]);

void access_opened(const struct stream *s);
void access_closed(const struct stream *s, enum close_reason reason);
void access_refused(const struct carrier *c, int status, const char *why);
// What ended a connection of many streams; the setting that is its limit, or NULL.
void access_flooded(const struct carrier *c, const char *why, const char *setting);

// An error: the file that the stream sends has fewer bytes than were announced.
void access_file_short(const struct stream *s);
