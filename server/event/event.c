// SPDX-License-Identifier: MIT
// An event in a channel is framed for HTTP/1.1's chunks once: `bare_at` is where the bytes without the frame
// begin. All that are alive are counted, for specs.
#include "event/event.h"
#include <stdlib.h>
#include "base/mem.h"
#include "event/compressor.h"

static atomic_long alive, form_bytes;

struct event *event_new(struct slab *home, size_t len) {
  struct event *e = home ? slab_take(home, sizeof *e + len) : xmalloc(sizeof *e + len);
  atomic_init(&e->refs, 1);
  e->len = len, e->bare_at = 0, e->has_trace = 0;
  e->epoch = e->seq = e->key = 0;
  atomic_init(&e->forms, NULL);
  e->home = home;
  atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
  return e;
}

struct event *event_of_bytes(struct span bytes) {
  struct event *e = event_new(NULL, bytes.len);
  if (bytes.len) memcpy(e->bytes, bytes.bytes, bytes.len);
  return e;
}

static size_t hex_digits(size_t n) {
  size_t digits = 1;
  while (n >>= 4) digits++;
  return digits;
}

struct event *event_new_at(struct slab *home, size_t bare_len, char **bare) {
  size_t digits = hex_digits(bare_len), len = digits + 2 + bare_len + EVENT_FRAME_END;
  struct event *e = event_new(home, len);
  for (size_t i = digits, left = bare_len; i-- > 0; left >>= 4) e->bytes[i] = "0123456789abcdef"[left & 15];
  memcpy(e->bytes + digits, "\r\n", 2);
  memcpy(e->bytes + digits + 2 + bare_len, "\r\n", 2);
  e->bare_at = ((uint32_t)digits + 2) & INT32_MAX;
  *bare = e->bytes + e->bare_at;
  return e;
}

struct event *event_new_framed(size_t bare_len, char **bare) {
  return event_new_at(NULL, bare_len, bare);
}

struct event *event_with_trace(struct event *e, struct span trace) {
  e = xrealloc(e, sizeof *e + e->len + TRACE_LEN);
  memcpy(e->bytes + e->len, trace.bytes, TRACE_LEN);
  e->has_trace = 1;
  return e;
}

void event_keep_form(const struct event *form) {
  atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&form_bytes, (long)form->len, memory_order_relaxed);
}

// Forms have no forms, so this goes no deeper.
static void form_drop(struct event *form) {
  if (!form) return;
  atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
  atomic_fetch_sub_explicit(&form_bytes, (long)form->len, memory_order_relaxed);
  event_unref(form);
}

static void forms_free(struct forms *f) {
  form_drop(atomic_load_explicit(&f->alone, memory_order_relaxed));
  form_drop(atomic_load_explicit(&f->shared, memory_order_relaxed));
  compressor_unref(f->compressor);
  free(f);
}

// Whether that was the last reference; of one thread alone it takes no bus.
static bool drop_reference(struct event *e) {
  if (!e->home) return atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1;
  unsigned refs = atomic_load_explicit(&e->refs, memory_order_relaxed) - 1;
  atomic_store_explicit(&e->refs, refs, memory_order_relaxed);
  return !refs;
}

void event_unref(struct event *e) {
  if (!e || !drop_reference(e)) return;
  atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
  struct forms *forms = atomic_load_explicit(&e->forms, memory_order_relaxed);
  if (forms) forms_free(forms);
  if (e->home) slab_free(e->home, e, sizeof *e + e->len);
  else free(e);
}

long event_count(void) { return atomic_load_explicit(&alive, memory_order_relaxed); }

long event_form_bytes(void) { return atomic_load_explicit(&form_bytes, memory_order_relaxed); }
