// SPDX-License-Identifier: MIT
// The field traceparent (W3C Trace Context). Any thread.
#pragma once
#include "http/request.h"

enum { TRACE_ID_LEN = 32, SPAN_ID_LEN = 16 }; // hex digits

struct trace_context {
  struct span trace_id, parent_id, flags; // in the request's bytes
};

// What a request's one traceparent says. False where there is none, or no valid one.
bool trace_context_read(const struct request *r, struct trace_context *c);
