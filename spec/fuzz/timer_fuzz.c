// SPDX-License-Identifier: MIT
// Arms, moves, disarms and runs timers at random beside a plain list of their deadlines: the same fire,
// earliest first and equal ones in the order of arming; timers may arm one another meanwhile. Then puts
// random names into a map, takes some out, and finds the same as a search through an array.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/map.h"
#include "base/util.h"
#include "loop/timer.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

enum { TIMERS = 40, NAMES = 64 };

static struct {
  struct timer timer;
  bool is_armed;
  double deadline;
  unsigned order; // of arming
} all[TIMERS];

static struct timer_heap heap;
static unsigned armed_ever;
static double now;
static int arms_next; // what the next timer that fires does to another

static void arm(size_t i, double deadline) {
  timer_arm(&heap, &all[i].timer, deadline);
  all[i].is_armed = true, all[i].deadline = deadline, all[i].order = armed_ever++;
}

static void disarm(size_t i) {
  timer_disarm(&heap, &all[i].timer);
  all[i].is_armed = false;
}

// The one that has to fire first; -1 for none.
static int first(void) {
  int best = -1;
  for (int i = 0; i < TIMERS; i++) {
    if (!all[i].is_armed) continue;
    if (best < 0 || all[i].deadline < all[best].deadline ||
        (all[i].deadline == all[best].deadline && all[i].order < all[best].order))
      best = i;
  }
  return best;
}

static void on_fire(struct timer *t) {
  int i = first();
  REQUIRE(i >= 0 && t == &all[i].timer && all[i].deadline <= now && !timer_is_armed(t));
  all[i].is_armed = false;
  size_t other = (size_t)(arms_next + i) % TIMERS;
  if (arms_next % 3 == 1) arm(other, now + 1 + arms_next % 5);
  if (arms_next % 3 == 2) disarm(other);
}

static void check_heap(void) {
  int i = first();
  size_t armed = 0;
  for (int k = 0; k < TIMERS; k++) {
    armed += all[k].is_armed;
    REQUIRE(timer_is_armed(&all[k].timer) == all[k].is_armed);
  }
  REQUIRE(heap.count == armed);
  REQUIRE(timer_first(&heap) == (i < 0 ? NULL : &all[i].timer));
  REQUIRE(i < 0 ? isinf(timer_next(&heap)) : timer_next(&heap) == all[i].deadline);
}

static void fuzz_timers(const uint8_t *bytes, size_t len) {
  heap = (struct timer_heap){.armed_ever = UINT32_MAX - 20};
  now = 0, armed_ever = 0;
  for (size_t i = 0; i < TIMERS; i++)
    all[i].timer = (struct timer){.on_fire = on_fire}, all[i].is_armed = false;
  for (size_t i = 0; i + 1 < len; i += 2) {
    size_t which = bytes[i] % TIMERS;
    if (bytes[i] >= 240) {
      arms_next = bytes[i + 1], now += bytes[i] % 16;
      timer_run(&heap, now);
      REQUIRE(!(timer_next(&heap) <= now));
    } else if (bytes[i] >= 200) disarm(which);
    else arm(which, now + 1 + bytes[i + 1] % 32);
    check_heap();
  }
  timer_heap_deinit(&heap);
}

static struct {
  struct map_node node;
  char name[2];
  bool is_in;
} named[NAMES];

static void count_node(struct map_node *node, void *count) {
  REQUIRE(node->name.len == 2);
  ++*(size_t *)count;
}

static void fuzz_map(const uint8_t *bytes, size_t len) {
  struct map m;
  size_t in = 0;
  map_init(&m, len ? bytes[0] : 0);
  for (size_t i = 0; i < NAMES; i++) {
    named[i].name[0] = (char)(i % 8), named[i].name[1] = (char)(i / 8), named[i].is_in = false;
    named[i].node = (struct map_node){.name = {named[i].name, 2}};
  }
  for (size_t i = 0; i < len; i++) {
    size_t which = bytes[i] % NAMES, seen = 0;
    struct map_node *found = map_find(&m, named[which].node.name);
    REQUIRE(found == (named[which].is_in ? &named[which].node : NULL));
    if (found) map_remove(&m, found), in--;
    else map_insert(&m, &named[which].node), in++;
    named[which].is_in = !found;
    map_each(&m, count_node, &seen);
    REQUIRE(seen == in && m.count == in);
  }
  map_deinit(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  fuzz_timers(bytes, len);
  fuzz_map(bytes, len);
  return 0;
}
