// SPDX-License-Identifier: MIT
// What a client may do at little cost to itself: buckets that leak.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "http/proto.h"

struct http2_bucket {
  double level, at; // at that time, in seconds
};

struct http2_flow {
  struct http2_bucket resets; // streams that end before they are answered, and those that we must end
  struct http2_bucket frames; // that bring nothing further
};

// Adds `cost` to what is in the bucket, of which a tenth of `burst` leaks each second. False: it has run
// over.
bool http2_spend(struct http2_bucket *b, double cost, size_t burst, double now);

// Data that has been sent, some in frames that no window has cut, makes up for frames that speak of it, such
// as WINDOW_UPDATE.
void http2_earn(struct http2_bucket *b, size_t bytes, size_t whole);
