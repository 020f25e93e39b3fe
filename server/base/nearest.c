// SPDX-License-Identifier: MIT
// The edit distance is quadratic, so longer names are not compared at all.
#include "base/nearest.h"
#include <string.h>
#include "base/util.h"

enum { NAME_MAX_LEN = 100 };

// By one row of the table.
size_t edit_distance(const char *a, const char *b) {
  size_t row[NAME_MAX_LEN + 1], rows = strnlen(a, NAME_MAX_LEN), len = strnlen(b, NAME_MAX_LEN);
  for (size_t j = 0; j <= len; j++) row[j] = j;
  for (size_t i = 1; i <= rows; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= len; j++) {
      size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = MIN(substitute, MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[len];
}

const char *nearest(const char *name, const char *const *names, size_t count) {
  const char *best = NULL;
  size_t len = strlen(name),
         least = MIN(len / 3 + 1, len / 2) + 1; // half of a name that is wrong is another name
  if (len > NAME_MAX_LEN) return NULL;
  for (size_t i = 0; i < count; i++) {
    if (strlen(names[i]) > NAME_MAX_LEN) continue;
    size_t d = edit_distance(name, names[i]);
    if (d < least) least = d, best = names[i];
  }
  return best;
}
