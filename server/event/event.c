// SPDX-License-Identifier: MIT
// An event in a channel is framed for HTTP/1.1's chunks once: `bare_at` is where the bytes without the frame
// begin. All that are alive are counted, for specs.
#include "event/event.h"
#include <stdlib.h>
#include "base/mem.h"

static atomic_long alive;

struct event *event_new(size_t len) {
  struct event *e = xmalloc(sizeof *e + len);
  atomic_init(&e->refs, 1);
  e->len = len, e->bare_at = 0;
  e->epoch = e->seq = e->key = 0;
  atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
  return e;
}

struct event *event_of_bytes(struct span bytes) {
  struct event *e = event_new(bytes.len);
  if (bytes.len) memcpy(e->bytes, bytes.bytes, bytes.len);
  return e;
}

static size_t hex_digits(size_t n) {
  size_t digits = 1;
  while (n >>= 4) digits++;
  return digits;
}

struct event *event_new_framed(size_t bare_len, char **bare) {
  size_t digits = hex_digits(bare_len);
  struct event *e = event_new(digits + 2 + bare_len + EVENT_FRAME_END);
  for (size_t i = digits, left = bare_len; i-- > 0; left >>= 4) e->bytes[i] = "0123456789abcdef"[left & 15];
  memcpy(e->bytes + digits, "\r\n", 2);
  memcpy(e->bytes + digits + 2 + bare_len, "\r\n", 2);
  e->bare_at = (uint32_t)digits + 2;
  *bare = e->bytes + e->bare_at;
  return e;
}

void event_unref(struct event *e) {
  if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1) return;
  atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
  free(e);
}

long event_count(void) { return atomic_load_explicit(&alive, memory_order_relaxed); }
