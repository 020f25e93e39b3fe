// SPDX-License-Identifier: MIT
// A transfer as libcurl carries it: an easy handle, and what it is told. Its callbacks only copy and link.
// Worker thread only.
#pragma once
#include "client/transfer.h"

// Tells the handle all that it has to know for the hop; `bundle`: the certificates that the system trusts.
void easy_prepare(struct transfer *t, const char *bundle);

// Goes on with what has been held back, in both directions, as the fetch now wants it. Calls the sink.
void easy_go_on(struct transfer *t);

// What the result means for the fetch, and a text for people in t->text.
enum fetch_error easy_error(struct transfer *t, CURLcode result);

// Frees the handle, which is in no multi handle; NULL is allowed there.
void easy_free(struct transfer *t);
