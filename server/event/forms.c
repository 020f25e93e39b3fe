// SPDX-License-Identifier: MIT
// Forms are published once they are whole, and stay for as long as the event: two threads that make the same
// one at a time make it twice, and the second goes. What is made in the channel's order is made under the
// compressor's lock.
#include "event/forms.h"
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "event/event_text.h"

void forms_place(struct event *e, struct compressor *c) {
  struct span text = event_text(e);
  if (!atomic_load_explicit(&c->watchers, memory_order_relaxed) || atomic_load(&e->forms)) return;
  struct forms *f = xcalloc(1, sizeof *f);
  f->compressor = compressor_ref(c);
  f->pos = c->pos, f->crc_before = c->crc;
  f->crc_after = gzip_sum(c->crc, text);
  c->pos += text.len, c->crc = f->crc_after;
  atomic_store(&e->forms, f);
}

struct event *forms_event(struct span blocks) {
  char *bytes;
  struct event *e = event_new_framed(blocks.len, &bytes);
  memcpy(bytes, blocks.bytes, blocks.len);
  return e;
}

// Forms for an event that had none: another thread may have made them meanwhile.
static struct forms *forms_make(struct event *e) {
  struct forms *made = xcalloc(1, sizeof *made), *there = NULL;
  if (atomic_compare_exchange_strong(&e->forms, &there, made)) return made;
  free(made);
  return there;
}

static struct event *make_alone(struct span text, struct deflater *alone) {
  struct buf blocks = {0};
  if (text.len > COMPRESSED_MAX) deflate_store(text, &blocks);
  else deflater_reset(alone), deflater_add(alone, text, &blocks);
  struct event *made = forms_event(buf_span(&blocks));
  buf_deinit(&blocks);
  return made;
}

struct event *forms_alone(struct event *e, struct deflater *alone) {
  struct forms *f = atomic_load(&e->forms);
  struct event *there = f ? atomic_load(&f->alone) : NULL;
  if (there) return event_ref(there);
  struct event *made = make_alone(event_text(e), alone);
  if (!f) f = forms_make(e);
  if (atomic_compare_exchange_strong(&f->alone, &there, made)) {
    event_keep_form(made);
    return event_ref(made);
  }
  event_unref(made);
  return event_ref(there);
}

// With the compressor's lock held.
static void make_shared(struct event *e, struct forms *f, bool may_skip, double now) {
  struct buf blocks = {0};
  if (compressor_add(f->compressor, f->pos, event_text(e), may_skip, now, &blocks, &f->floor)) {
    struct event *made = forms_event(buf_span(&blocks));
    event_keep_form(made);
    atomic_store(&f->shared, made);
  }
  buf_deinit(&blocks);
}

struct event *forms_shared(struct event *e, uint64_t run_from, double now) {
  struct forms *f = atomic_load(&e->forms);
  if (!atomic_load(&f->shared)) {
    lock_take(&f->compressor->lock);
    if (!atomic_load(&f->shared)) make_shared(e, f, run_from < f->pos, now);
    lock_release(&f->compressor->lock);
  }
  struct event *shared = atomic_load(&f->shared);
  return shared && run_from <= f->floor ? event_ref(shared) : NULL;
}
