// SPDX-License-Identifier: MIT
// The edit distance is quadratic, so longer names are not compared at all.
#include "base/nearest.h"
#include <stdbool.h>
#include <string.h>
#include "base/util.h"

enum { NAME_MAX_LEN = 100 };

// By the last three rows of the table: what two that have changed places cost is two rows above.
size_t edit_distance(const char *a, const char *b) {
  size_t rows[3][NAME_MAX_LEN + 1], count = strnlen(a, NAME_MAX_LEN), len = strnlen(b, NAME_MAX_LEN);
  for (size_t j = 0; j <= len; j++) rows[0][j] = j;
  for (size_t i = 1; i <= count; i++) {
    size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= len; j++) {
      row[j] = MIN(above[j - 1] + (a[i - 1] != b[j - 1]), MIN(above[j], row[j - 1]) + 1);
      bool is_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swapped) row[j] = MIN(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[count % 3][len];
}

static size_t common_prefix(const char *a, const char *b) {
  size_t n = 0;
  while (a[n] && a[n] == b[n]) n++;
  return n;
}

const char *nearest(const char *name, const char *const *names, size_t count) {
  const char *best = NULL;
  size_t len = strlen(name),
         least = MIN(len / 3 + 1, len / 2) + 1; // half of a name that is wrong is another name
  if (len > NAME_MAX_LEN) return NULL;
  for (size_t i = 0; i < count; i++) {
    if (strlen(names[i]) > NAME_MAX_LEN) continue;
    size_t d = edit_distance(name, names[i]);
    if (d < least || (best && d == least && common_prefix(name, names[i]) > common_prefix(name, best)))
      least = d, best = names[i];
  }
  return best;
}
