// SPDX-License-Identifier: MIT
// A block has pieces of one size, and lies where its address says which it is: a piece is given back to the
// block around it. Blocks with room are in their size's list. One that has got empty is spare for any size;
// what is more than a part of all goes back to malloc. Under a sanitizer each piece is malloc's, so that it
// is seen when one is used behind its end.
#include "base/slab.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/util.h"

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
enum { PIECE_MAX = 0 };
#else
enum { PIECE_MAX = SLAB_MAX };
#endif
// Less than its alignment by what malloc keeps beside it: the next one then begins where this ends, without a
// gap.
enum {
  BLOCK_ALIGNMENT = 16 << 10,
  BLOCK_LEN = BLOCK_ALIGNMENT - 16,
  SPARE_PART = 4,
  SPARE_MIN = 8,
  CACHE_LINE = 64
};

struct piece {
  struct piece *next;
};

struct block {
  struct list link; // in its size's list, where it has room
  struct piece *free;
  uint32_t untouched; // where the pieces begin that have not been taken so far
  uint32_t used;
};

static struct list *list_of(struct slab *s, size_t size) { return &s->blocks[(size - 1) / SLAB_GRAIN]; }

static size_t piece_len(size_t size) { return (size + SLAB_GRAIN - 1) & ~(size_t)(SLAB_GRAIN - 1); }

// Pieces of whole cache lines begin with one, so that what has its hot members first touches no line more.
static size_t first_piece(size_t len) {
  return len % CACHE_LINE ? piece_len(sizeof(struct block)) : CACHE_LINE;
}

static struct block *block_of(void *piece) {
  return (struct block *)((uintptr_t)piece & ~(uintptr_t)(BLOCK_ALIGNMENT - 1));
}

static bool is_full(const struct block *b, size_t len) { return !b->free && b->untouched + len > BLOCK_LEN; }

void slab_init(struct slab *s) {
  *s = (struct slab){0};
  for (size_t i = 0; i < SLAB_SIZES; i++) list_init(&s->blocks[i]);
  list_init(&s->spare);
}

static void free_all(struct list *blocks) {
  for (struct list *node; (node = list_shift(blocks));) free(container_of(node, struct block, link));
}

void slab_deinit(struct slab *s) {
  for (size_t i = 0; i < SLAB_SIZES; i++) free_all(&s->blocks[i]);
  free_all(&s->spare);
}

static struct block *block_new(struct slab *s, size_t len) {
  struct list *node = list_shift(&s->spare);
  void *fresh = NULL;
  if (!node && posix_memalign(&fresh, BLOCK_ALIGNMENT, BLOCK_LEN)) return NULL;
  struct block *b = node ? container_of(node, struct block, link) : fresh;
  if (node) s->spare_count--;
  else s->block_count++;
  *b = (struct block){.untouched = (uint32_t)first_piece(len)};
  list_init(&b->link);
  return b;
}

static void block_end(struct slab *s, struct block *b) {
  list_remove(&b->link);
  if (s->spare_count < SPARE_MIN + s->block_count / SPARE_PART) {
    list_append(&s->spare, &b->link);
    s->spare_count++;
  } else {
    free(b);
    s->block_count--;
  }
}

size_t slab_trim(struct slab *s) {
  size_t count = s->spare_count;
  free_all(&s->spare);
  s->block_count -= count, s->spare_count = 0;
  return count;
}

// The first block with room for a piece of `len`; NULL where there is no memory.
static struct block *roomy_block(struct slab *s, size_t len) {
  struct list *list = list_of(s, len);
  if (!list_empty(list)) return container_of(list->next, struct block, link);
  struct block *b = block_new(s, len);
  if (b) list_append(list, &b->link);
  return b;
}

static void *take_piece(struct slab *s, size_t size) {
  struct block *b = roomy_block(s, piece_len(size));
  if (!b) return NULL;
  struct piece *p = b->free;
  if (p) b->free = p->next;
  else {
    p = (struct piece *)((char *)b + b->untouched);
    b->untouched += (uint32_t)piece_len(size);
  }
  b->used++;
  if (is_full(b, piece_len(size))) list_remove(&b->link);
  return p;
}

static void give_piece(struct slab *s, void *piece, size_t size) {
  struct block *b = block_of(piece);
  struct list *list = list_of(s, size);
  struct piece *p = piece;
  if (list_empty(&b->link)) list_append(list, &b->link); // it was full
  p->next = b->free, b->free = p;
  if (!--b->used) block_end(s, b);
}

static void *make(struct slab *s, size_t size) {
  return size <= PIECE_MAX ? take_piece(s, size) : malloc(size);
}

void *slab_take(struct slab *s, size_t size) { return mem_check(make(s, size), size); }

void slab_free(struct slab *s, void *piece, size_t size) {
  if (piece && size <= PIECE_MAX) give_piece(s, piece, size);
  else free(piece);
}

void *slab_resize(struct slab *s, void *old, size_t old_size, size_t size) {
  if (!old) return make(s, size);
  if (old_size > PIECE_MAX && size > PIECE_MAX) return realloc(old, size);
  if (piece_len(old_size) == piece_len(size)) return old;
  void *piece = make(s, size);
  if (!piece) return NULL;
  memcpy(piece, old, MIN(old_size, size));
  slab_free(s, old, old_size);
  return piece;
}
