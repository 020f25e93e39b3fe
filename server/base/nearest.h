// SPDX-License-Identifier: MIT
// "Did you mean": the known name that a misspelt one is closest to.
#pragma once
#include <stddef.h>

// The least number of bytes that are put in, taken out, changed or swapped with the next to make one of the
// other (Levenshtein's distance, with swaps), of their first 100. Any thread.
size_t edit_distance(const char *a, const char *b);

// The entry of `names` with the least edit distance to `name`, of several that which begins most like it,
// borrowed; NULL where none is close. Any thread.
const char *nearest(const char *name, const char *const *names, size_t count);
