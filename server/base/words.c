// SPDX-License-Identifier: MIT
// Only the ends are kept: a word begins where the one before it ends.
#include "base/words.h"
#include <stdlib.h>
#include "base/mem.h"

void words_end(struct words *w) {
  if (w->count == w->cap) {
    w->cap = w->cap ? w->cap * 2 : 16;
    w->ends = xrealloc(w->ends, w->cap * sizeof *w->ends);
  }
  w->ends[w->count++] = w->bytes.len;
}

void words_add(struct words *w, struct span word) {
  buf_append_span(&w->bytes, word);
  words_end(w);
}

struct span words_at(const struct words *w, size_t i) {
  if (i >= w->count) return (struct span){0};
  size_t begin = i ? w->ends[i - 1] : 0;
  return (struct span){w->bytes.bytes ? w->bytes.bytes + begin : "", w->ends[i] - begin};
}

void words_deinit(struct words *w) {
  buf_deinit(&w->bytes);
  free(w->ends);
  *w = (struct words){0};
}
