// SPDX-License-Identifier: MIT
// A four-way heap: half as deep as a binary one. A slot is 16 bytes, so the four children of one are one
// cache line, and where a slot lies is kept in a table beside the heap: moving it does not touch the timer,
// which is somewhere else in memory. Before the heap are rows. Who arms timers again and again does it by the
// same period, so that each is due later than the one before: such stand in a row, of which the first alone
// is in the heap, and cost the same however many there are. There is a row for each power of two that the
// deadline is ahead by; what is due before the last in its row goes into the heap.
#include "loop/timer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/util.h"

struct timer_slot {
  double deadline;
  uint32_t id;
};

struct timer_entry {
  struct timer *timer;
  double deadline;
  uint64_t order;          // of arming, among equal deadlines; never wraps
  uint32_t place;          // of its slot, where it has one; the next free id where it is none
  uint32_t previous, next; // in its row; 0: none
  uint32_t row;            // and one; 0: none
};

void timer_heap_deinit(struct timer_heap *h) {
  for (uint32_t id = 1; id <= h->cap; id++)
    if (h->entries[id].timer) h->entries[id].timer->id = 0;
  free(h->slots);
  free(h->entries);
}

static inline bool is_before(const struct timer_heap *h, const struct timer_slot *a,
                             const struct timer_slot *b) {
  return a->deadline < b->deadline ||
         (a->deadline == b->deadline && h->entries[a->id].order < h->entries[b->id].order);
}

// The least of the children from `first` on, of which there is one at least.
static inline size_t least_child(const struct timer_heap *h, size_t first) {
  size_t least = first, end = MIN(first + 4, h->slot_count);
  for (size_t i = first + 1; i < end; i++)
    if (is_before(h, &h->slots[i], &h->slots[least])) least = i;
  return least;
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
  while (at * 4 + 1 < h->slot_count) {
    size_t least = least_child(h, at * 4 + 1);
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

static void heap_insert(struct timer_heap *h, struct timer_slot slot) {
  if (h->slot_count == h->slot_cap) {
    h->slot_cap = h->slot_cap ? h->slot_cap * 2 : 64;
    h->slots = xrealloc(h->slots, h->slot_cap * sizeof *h->slots);
  }
  sift_up(h, h->slot_count++, slot);
}

static void heap_remove(struct timer_heap *h, size_t at) {
  struct timer_slot last = h->slots[--h->slot_count];
  if (at < h->slot_count) sift(h, at, last);
}

static void entries_grow(struct timer_heap *h) {
  size_t cap = h->cap ? h->cap * 2 : 64;
  h->entries = xrealloc(h->entries, (cap + 1) * sizeof *h->entries); // id 0 is none
  for (size_t id = cap; id > h->cap; id--) {
    h->entries[id] = (struct timer_entry){.place = h->free_id};
    h->free_id = (uint32_t)id;
  }
  h->cap = cap;
}

// The row for what is so many seconds ahead; none below 1/64 and from 1024 on.
static uint32_t row_of(double ahead) {
  uint64_t bits;
  memcpy(&bits, &ahead, sizeof bits);
  uint64_t power = (bits >> 52) - (1023 - 6);
  return power < TIMER_ROWS ? (uint32_t)power + 1 : 0;
}

// Puts the newest timer at the end of its row, and where it is the first there into the heap.
static void row_append(struct timer_heap *h, uint32_t id, uint32_t row) {
  struct timer_entry *e = &h->entries[id];
  uint32_t last = h->last[row - 1];
  e->row = row, e->previous = last;
  h->last[row - 1] = id;
  if (last) h->entries[last].next = id;
  else heap_insert(h, (struct timer_slot){e->deadline, id});
}

// Takes a timer out of its row, and out of the heap, where the next one takes its place.
static void row_remove(struct timer_heap *h, const struct timer_entry *e) {
  if (e->next) h->entries[e->next].previous = e->previous;
  else h->last[e->row - 1] = e->previous;
  if (e->previous) h->entries[e->previous].next = e->next;
  else if (e->next) sift(h, e->place, (struct timer_slot){h->entries[e->next].deadline, e->next});
  else heap_remove(h, e->place);
}

void timer_arm(struct timer_heap *h, struct timer *t, double deadline) {
  timer_disarm(h, t);
  if (h->count == h->cap) entries_grow(h);
  uint32_t id = h->free_id;
  struct timer_entry *e = &h->entries[id];
  h->free_id = e->place;
  h->count++;
  *e = (struct timer_entry){
      .timer = t, .deadline = MAX(deadline, h->running), .order = h->armed_ever++}; // behind all that are due
  t->id = id, t->deadline = deadline;
  uint32_t row = row_of(e->deadline - h->ran);
  bool is_latest = row && (!h->last[row - 1] || h->entries[h->last[row - 1]].deadline <= e->deadline);
  if (is_latest) row_append(h, id, row);
  else heap_insert(h, (struct timer_slot){e->deadline, id});
}

void timer_disarm(struct timer_heap *h, struct timer *t) {
  if (!t->id) return;
  struct timer_entry *e = &h->entries[t->id];
  if (e->row) row_remove(h, e);
  else heap_remove(h, e->place);
  e->timer = NULL, e->place = h->free_id;
  h->free_id = t->id;
  h->count--;
  t->id = 0;
}

size_t timer_run(struct timer_heap *h, double now) {
  uint64_t armed_before = h->armed_ever;
  size_t fired = 0;
  h->running = h->ran = now;
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
