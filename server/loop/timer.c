// SPDX-License-Identifier: MIT
// A four-way heap: half as deep as a binary one. A slot is 16 bytes, so the four children of one are one
// cache line, and where a slot lies is kept in a table beside the heap: moving it does not touch the timer,
// which is somewhere else in memory. With 5,000 timers that is most of what a re-arming costs.
#include "loop/timer.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/util.h"

struct timer_slot {
  double deadline;
  uint32_t id;
};

struct timer_entry {
  struct timer *timer;
  uint64_t order; // of arming, among equal deadlines; never wraps
  uint32_t place; // of its slot; the next free id where it is none
};

void timer_heap_deinit(struct timer_heap *h) {
  for (size_t i = 0; i < h->count; i++) h->entries[h->slots[i].id].timer->id = 0;
  free(h->slots);
  free(h->entries);
  *h = (struct timer_heap){0};
}

static bool is_before(const struct timer_heap *h, const struct timer_slot *a, const struct timer_slot *b) {
  if (a->deadline != b->deadline) return a->deadline < b->deadline;
  return h->entries[a->id].order < h->entries[b->id].order;
}

static void heap_put(struct timer_heap *h, size_t at, struct timer_slot slot) {
  h->slots[at] = slot;
  h->entries[slot.id].place = (uint32_t)at;
}

static void sift_up(struct timer_heap *h, size_t at, struct timer_slot slot) {
  while (at && is_before(h, &slot, &h->slots[(at - 1) / 4])) {
    heap_put(h, at, h->slots[(at - 1) / 4]);
    at = (at - 1) / 4;
  }
  heap_put(h, at, slot);
}

static void sift_down(struct timer_heap *h, size_t at, struct timer_slot slot) {
  for (;;) {
    size_t child = at * 4 + 1, least = child;
    if (child >= h->count) break;
    for (size_t i = child + 1; i < child + 4 && i < h->count; i++)
      if (is_before(h, &h->slots[i], &h->slots[least])) least = i;
    if (!is_before(h, &h->slots[least], &slot)) break;
    heap_put(h, at, h->slots[least]);
    at = least;
  }
  heap_put(h, at, slot);
}

static void sift(struct timer_heap *h, size_t at, struct timer_slot slot) {
  if (at && is_before(h, &slot, &h->slots[(at - 1) / 4])) sift_up(h, at, slot);
  else sift_down(h, at, slot);
}

static void heap_grow(struct timer_heap *h) {
  size_t cap = h->cap ? h->cap * 2 : 64;
  h->slots = xrealloc(h->slots, cap * sizeof *h->slots);
  h->entries = xrealloc(h->entries, (cap + 1) * sizeof *h->entries); // id 0 is none
  for (size_t id = cap; id > h->cap; id--) {
    h->entries[id] = (struct timer_entry){.place = h->free_id};
    h->free_id = (uint32_t)id;
  }
  h->cap = cap;
}

void timer_arm(struct timer_heap *h, struct timer *t, double deadline) {
  t->deadline = deadline;
  struct timer_slot slot = {.deadline = MAX(deadline, h->running), .id = t->id}; // behind all that are due
  if (t->id) {
    h->entries[t->id].order = h->armed_ever++;
    sift(h, h->entries[t->id].place, slot);
    return;
  }
  if (h->count == h->cap) heap_grow(h);
  t->id = slot.id = h->free_id;
  h->free_id = h->entries[t->id].place;
  h->entries[t->id].timer = t, h->entries[t->id].order = h->armed_ever++;
  h->count++;
  sift_up(h, h->count - 1, slot);
}

void timer_disarm(struct timer_heap *h, struct timer *t) {
  if (!t->id) return;
  size_t at = h->entries[t->id].place;
  h->entries[t->id].place = h->free_id;
  h->free_id = t->id;
  t->id = 0;
  struct timer_slot last = h->slots[--h->count];
  if (at < h->count) sift(h, at, last);
}

size_t timer_run(struct timer_heap *h, double now) {
  uint64_t armed_before = h->armed_ever;
  size_t fired = 0;
  h->running = now;
  while (h->count && h->slots[0].deadline <= now && h->entries[h->slots[0].id].order < armed_before) {
    struct timer *t = timer_first(h);
    timer_disarm(h, t);
    t->on_fire(t);
    fired++;
  }
  h->running = 0;
  return fired;
}

double timer_next(const struct timer_heap *h) { return h->count ? h->slots[0].deadline : INFINITY; }

struct timer *timer_first(const struct timer_heap *h) {
  return h->count ? h->entries[h->slots[0].id].timer : NULL;
}
