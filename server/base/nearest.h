// SPDX-License-Identifier: MIT
// "Did you mean": the known name that a misspelt one is closest to.
#pragma once
#include <stddef.h>

// The entry of `names` with the least edit distance to `name`, borrowed; NULL where none is close. Any
// thread.
const char *nearest(const char *name, const char *const *names, size_t count);
