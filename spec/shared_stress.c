// SPDX-License-Identifier: MIT
// Many threads at the shared dictionaries at once, for ThreadSanitizer; says nothing where all is well. `make
// tsan` builds and runs it.
#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "event/shared.h"

enum { THREADS = 8, ROUNDS = 60000, LIMIT = 200000, DICTIONARIES = 12 };

static struct shared_registry registry;
static atomic_long ticks, incremented, exchanged, full, lost;

static double now(void) { return (double)atomic_load(&ticks) / 1000; }

static struct span text(char into[64], const char *format, unsigned n) {
  return (struct span){into, (size_t)snprintf(into, 64, format, n)};
}

static struct shared *open_one(const char *format, unsigned n) {
  char name[64];
  struct shared *d = shared_open(&registry, text(name, format, n), now());
  assert(shared_registry_bytes(&registry) <= LIMIT);
  return d;
}

static void set_some(struct shared *d, unsigned *seed) {
  static char bytes[3000];
  char key[64];
  struct shared_value v = {.type = SHARED_STRING, .string = {bytes, (size_t)rand_r(seed) % sizeof bytes}};
  double ttl = rand_r(seed) % 3 ? (rand_r(seed) % 50 + 1) / 1000.0 : INFINITY;
  if (shared_set(d, text(key, "key %u", (unsigned)rand_r(seed) % 40), &v, ttl, now()) == SHARED_FULL)
    atomic_fetch_add(&full, 1);
}

static void read_some(struct shared *d, unsigned *seed, struct buf *into) {
  char key[64];
  struct shared_value v;
  buf_reset(into, 1 << 16);
  shared_get(d, text(key, "key %u", (unsigned)rand_r(seed) % 40), now(), &v, into);
  if (v.type != SHARED_NIL) {
    assert(v.type == SHARED_STRING && v.string.len == into->len);
    for (size_t i = 0; i < v.string.len; i++) assert(!v.string.bytes[i]);
  }
  if (rand_r(seed) % 50) return;
  buf_reset(into, 1 << 16);
  shared_keys(d, SPAN("key 1"), now(), into);
  shared_count(d, now());
  shared_bytes(d, now());
}

static void count(struct shared *counters) {
  struct shared_value by = {.type = SHARED_INTEGER, .integer = 1}, init = {.type = SHARED_INTEGER};
  if (shared_incr(counters, SPAN("n"), &by, &init, INFINITY, now()) == SHARED_OK)
    atomic_fetch_add(&incremented, 1);
  struct shared_value old, next;
  shared_get(counters, SPAN("m"), now(), &old, &(struct buf){0});
  if (old.type == SHARED_NIL) next = (struct shared_value){.type = SHARED_INTEGER, .integer = 1};
  else next = old, next.integer++;
  enum shared_result result = shared_cas(counters, SPAN("m"), &old, &next, 0, now());
  atomic_fetch_add(result == SHARED_OK ? &exchanged : &lost, 1);
}

static void *run(void *arg) {
  unsigned seed = (unsigned)(uintptr_t)arg;
  struct buf into = {0};
  struct shared *counters = shared_open(&registry, SPAN("counters"), now());
  for (int i = 0; i < ROUNDS; i++) {
    struct shared *d = open_one("some %u", (unsigned)rand_r(&seed) % DICTIONARIES);
    if (d) {
      set_some(d, &seed);
      read_some(d, &seed, &into);
      char key[64];
      if (rand_r(&seed) % 4 == 0) shared_delete(d, text(key, "key %u", (unsigned)rand_r(&seed) % 40), now());
      shared_unref(d, now());
    }
    count(counters);
    atomic_fetch_add(&ticks, 1);
  }
  shared_unref(counters, now());
  buf_deinit(&into);
  return NULL;
}

static int64_t take_number(struct shared *d, struct span key) {
  struct shared_value v;
  shared_get(d, key, now(), &v, &(struct buf){0});
  if (v.type == SHARED_NIL) return 0;
  shared_delete(d, key, now());
  return v.integer;
}

int main(void) {
  pthread_t threads[THREADS];
  shared_registry_init(&registry, LIMIT);
  for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void *)(i + 1));
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  struct shared *counters = shared_open(&registry, SPAN("counters"), now());
  assert(take_number(counters, SPAN("n")) == incremented && take_number(counters, SPAN("m")) == exchanged);
  shared_unref(counters, now());
  assert(full > 0 && exchanged > 0);
  for (unsigned i = 0; i < DICTIONARIES;
       i++) { // what is empty goes with the last reference, and all is given back
    char key[64];
    struct shared *d = open_one("some %u", i);
    for (unsigned j = 0; d && j < 40; j++) shared_delete(d, text(key, "key %u", j), now());
    if (d) shared_unref(d, now());
  }
  assert(shared_registry_bytes(&registry) == 0);
  shared_registry_deinit(&registry);
}
