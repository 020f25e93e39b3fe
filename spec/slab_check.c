// SPDX-License-Identifier: MIT
// Pieces of every size that are taken, grow, shrink and are given back at random, each filled with what only
// it has: none may lie over another, or lose what was in it. Says how much memory was left when all had been
// given back, in blocks; none is once that is trimmed. What is of whole cache lines begins with one.
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/slab.h"

enum { PIECES = 8000, STEPS = 100000, SIZE_MAX_TRIED = 2 * SLAB_MAX, CACHE_LINE = 64 };

static struct piece {
  unsigned char *bytes;
  size_t size;
  unsigned char filling;
} pieces[PIECES];
static unsigned seed = 1;

static unsigned below(unsigned n) {
  seed = seed * 1103515245 + 12345;
  return (seed >> 8) % n;
}

static void check(const struct piece *p, size_t size) {
  for (size_t i = 0; i < size; i++) assert(p->bytes[i] == p->filling);
}

static void resize(struct slab *s, struct piece *p, size_t size) {
  size_t kept = p->size < size ? p->size : size;
  p->bytes = slab_resize(s, p->bytes, p->size, size);
  assert(p->bytes && (uintptr_t)p->bytes % SLAB_GRAIN == 0);
  assert(size > SLAB_MAX || size % CACHE_LINE || (uintptr_t)p->bytes % CACHE_LINE == 0);
  check(p, kept);
  p->size = size;
  p->filling++;
  memset(p->bytes, p->filling, size);
}

static void give_back(struct slab *s, struct piece *p) {
  if (p->bytes) check(p, p->size);
  slab_free(s, p->bytes, p->size);
  *p = (struct piece){.filling = p->filling};
}

int main(void) {
  static struct slab s;
  slab_init(&s);
  for (unsigned i = 0; i < PIECES; i++) pieces[i].filling = (unsigned char)i;
  for (unsigned step = 0; step < STEPS; step++) {
    struct piece *p = &pieces[below(PIECES)];
    if (below(3)) resize(&s, p, 1 + below(SIZE_MAX_TRIED));
    else give_back(&s, p);
  }
  size_t most = s.block_count;
  for (unsigned i = 0; i < PIECES; i++) give_back(&s, &pieces[i]);
  for (unsigned i = 0; i < SLAB_SIZES; i++) assert(list_empty(&s.blocks[i]));
  assert(s.block_count == s.spare_count);
  size_t left = s.block_count, trimmed = slab_trim(&s);
  assert(trimmed == left && !s.block_count && !s.spare_count);
  printf("%zu %zu\n", most, left);
  resize(&s, &pieces[0], 1); // which needs a new one
  assert(s.block_count == 1 && !slab_trim(&s));
  give_back(&s, &pieces[0]);
  slab_deinit(&s);
}
