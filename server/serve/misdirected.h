// SPDX-License-Identifier: MIT
// Requests that have come the wrong way, and are told where to go before an application sees them. Worker
// thread only.
#pragma once
#include "serve/stream.h"

struct transport;

// Answers the stream of a request that came by `t`, where it should not have: 308 where https is to be used,
// 421 where its host asks clients for certificates that this connection was not asked for. False where it
// may be served.
bool misdirected_answer(struct stream *s, const struct transport *t);
