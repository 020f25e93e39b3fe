// SPDX-License-Identifier: MIT
// What a request's path has behind its route's prefix, as it is asked of another server. Any thread.
#pragma once
#include "base/span.h"

// The part of `path` that the last segment of `pattern` stands for, as it came and with its slash in front;
// empty where that is no "*name".
struct span path_beneath(struct span pattern, struct span path);

// Whether others may take a part of it for "..": what is behind a ";" is left out by some, "\" is "/" to
// some, and some decode twice. `scratch` has room for as many bytes.
bool path_is_devious(struct span path, char *scratch);

// Writes it with whatever may not stand in a path encoded; at most three times as long. The length.
size_t path_quote(struct span path, char *out);
