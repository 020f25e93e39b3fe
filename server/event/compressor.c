// SPDX-License-Identifier: MIT
// A block of deflate carries no state but the last bytes of what came before, a window's length of them. So
// whoever has got these, without a gap, can read the blocks that are made for all. What was left out, and
// what comes behind a rest, begins with an empty window; it never needs the past.
#include "event/compressor.h"
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "base/util.h"

struct compressor *compressor_new(int window_bits, struct deflater_total *total) {
  struct compressor *c = xcalloc(1, sizeof *c);
  atomic_init(&c->refs, 1);
  c->window_bits = window_bits, c->total = total;
  lock_init(&c->lock);
  return c;
}

struct compressor *compressor_ref(struct compressor *c) {
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

// With the lock held, or by the last who has it.
static void compressor_close(struct compressor *c) {
  deflater_free(c->deflater);
  c->deflater = NULL;
}

void compressor_unref(struct compressor *c) {
  if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
  compressor_close(c);
  lock_deinit(&c->lock);
  free(c);
}

void compressor_watch(struct compressor *c) { atomic_fetch_add(&c->watchers, 1); }

void compressor_leave(struct compressor *c) {
  lock_take(&c->lock);
  if (atomic_fetch_sub(&c->watchers, 1) == 1) compressor_close(c);
  lock_release(&c->lock);
}

void compressor_rest(struct compressor *c, double now) {
  lock_take(&c->lock);
  if (c->deflater && deflater_rests(c->deflater, now)) compressor_close(c);
  lock_release(&c->lock);
}

// Goes on at `pos` with an empty window. False where there is no room for it.
static bool compressor_start(struct compressor *c, uint64_t pos) {
  if (c->deflater) deflater_reset(c->deflater);
  else c->deflater = deflater_new(c->window_bits, c->total);
  c->started_at = pos;
  return c->deflater;
}

bool compressor_add(struct compressor *c, uint64_t pos, struct span bytes, bool may_skip, double now,
                    struct buf *out, uint64_t *floor) {
  uint64_t window = (uint64_t)1 << c->window_bits;
  if (bytes.len > COMPRESSED_MAX) return false;
  if (c->next > pos || (c->deflater && c->next < pos && !may_skip)) return false;
  if ((!c->deflater || c->next < pos) && !compressor_start(c, pos)) return false;
  deflater_add(c->deflater, bytes, out);
  deflater_use(c->deflater, now);
  c->next = pos + bytes.len;
  *floor = MAX(c->started_at, pos - MIN(pos, window));
  return true;
}
