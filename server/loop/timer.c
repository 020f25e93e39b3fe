// SPDX-License-Identifier: MIT
// A four-way heap: half as deep as a binary one, and the four children of a slot share two cache lines, since
// each slot holds its deadline and a comparison does not touch the timer itself.
#include "loop/timer.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"

struct timer_slot {
  double deadline;
  uint64_t order; // of arming, among equal deadlines
  struct timer *timer;
};

void timer_heap_deinit(struct timer_heap *h) {
  for (size_t i = 0; i < h->count; i++) h->slots[i].timer->place = 0;
  free(h->slots);
  *h = (struct timer_heap){0};
}

static bool is_before(const struct timer_slot *a, const struct timer_slot *b) {
  return a->deadline < b->deadline || (a->deadline == b->deadline && a->order < b->order);
}

static void put(struct timer_heap *h, size_t at, struct timer_slot slot) {
  h->slots[at] = slot;
  slot.timer->place = (uint32_t)at + 1;
}

static void sift_up(struct timer_heap *h, size_t at, struct timer_slot slot) {
  while (at && is_before(&slot, &h->slots[(at - 1) / 4])) {
    put(h, at, h->slots[(at - 1) / 4]);
    at = (at - 1) / 4;
  }
  put(h, at, slot);
}

static void sift_down(struct timer_heap *h, size_t at, struct timer_slot slot) {
  for (;;) {
    size_t child = at * 4 + 1, least = child;
    if (child >= h->count) break;
    for (size_t i = child + 1; i < child + 4 && i < h->count; i++)
      if (is_before(&h->slots[i], &h->slots[least])) least = i;
    if (!is_before(&h->slots[least], &slot)) break;
    put(h, at, h->slots[least]);
    at = least;
  }
  put(h, at, slot);
}

static void place(struct timer_heap *h, size_t at, struct timer_slot slot) {
  if (at && is_before(&slot, &h->slots[(at - 1) / 4])) sift_up(h, at, slot);
  else sift_down(h, at, slot);
}

void timer_arm(struct timer_heap *h, struct timer *t, double deadline) {
  t->deadline = deadline;
  struct timer_slot slot = {.deadline = deadline, .order = h->armed_ever++, .timer = t};
  if (t->place) {
    place(h, t->place - 1, slot);
    return;
  }
  if (h->count == h->cap) {
    h->cap = h->cap ? h->cap * 2 : 64;
    h->slots = xrealloc(h->slots, h->cap * sizeof *h->slots);
  }
  h->count++;
  sift_up(h, h->count - 1, slot);
}

void timer_disarm(struct timer_heap *h, struct timer *t) {
  if (!t->place) return;
  size_t at = t->place - 1;
  t->place = 0;
  struct timer_slot last = h->slots[--h->count];
  if (at < h->count) place(h, at, last);
}

size_t timer_run(struct timer_heap *h, double now) {
  uint64_t armed_before = h->armed_ever;
  size_t fired = 0;
  while (h->count && h->slots[0].deadline <= now && h->slots[0].order < armed_before) {
    struct timer *t = h->slots[0].timer;
    timer_disarm(h, t);
    t->on_fire(t);
    fired++;
  }
  return fired;
}

double timer_next(const struct timer_heap *h) { return h->count ? h->slots[0].deadline : INFINITY; }

struct timer *timer_first(const struct timer_heap *h) { return h->count ? h->slots[0].timer : NULL; }
