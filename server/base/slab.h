// SPDX-License-Identifier: MIT
// Small pieces of memory for one user at a time, such as a Lua state: cheaper than malloc's, and without the
// bytes that it keeps beside each.
#pragma once
#include <stddef.h>
#include "base/list.h"

enum { SLAB_GRAIN = 16, SLAB_MAX = 256, SLAB_SIZES = SLAB_MAX / SLAB_GRAIN };

struct slab {
  struct list blocks[SLAB_SIZES]; // of one size each that have room, the one that is used first
  struct list spare;              // without pieces, for any size
  size_t block_count, spare_count;
};

void slab_init(struct slab *s);

// Frees what is left; every piece has been given back.
void slab_deinit(struct slab *s);

// As realloc, with the size that the old piece (NULL: none) was made for. Larger ones are malloc's. NULL
// where there is no memory; the old piece is what it was then.
void *slab_resize(struct slab *s, void *old, size_t old_size, size_t size);

// A piece of that size, as xmalloc has it.
void *slab_take(struct slab *s, size_t size);

// Gives back a piece of that size; NULL is allowed.
void slab_free(struct slab *s, void *piece, size_t size);

// Gives what is spare back to malloc. How many blocks.
size_t slab_trim(struct slab *s);
