// SPDX-License-Identifier: MIT
// The path of a request as the router reads it: split at '/', then decoded.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/span.h"

enum { ROUTE_SEGMENTS_MAX = 64 };

struct route_path {
  struct span text;                         // all segments, decoded, joined by '/'
  size_t count;                             // of segments; the path "/" has one, which is empty
  struct span segments[ROUTE_SEGMENTS_MAX]; // the first ones, slices of `text`
};

// Reads a path that begins with '/' into `scratch` (raw.len bytes), which must outlive it. -1 at a bad escape
// and where the text is not valid.
int route_path_read(struct route_path *p, struct span raw, char *scratch);

// True where it holds no NUL and no "." or ".." between slashes or the ends.
bool route_text_is_valid(struct span text);
