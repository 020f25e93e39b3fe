// SPDX-License-Identifier: MIT
// Threads that publish to channels in a file, read them page by page and change a dictionary that is kept
// there, while the store's own thread carries it out and channels are let go of: for the thread sanitizer.
// Each channel has what was kept, once and in order, at the end.
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "event/shared.h"
#include "store/sqlite_store.h"

enum { THREADS = 4, ROUNDS = 3000, CHANNELS = 5 };

static struct broker broker;
static struct shared_registry registry;
static atomic_ulong kept, read_pages;
static const struct channel_options options = {.history = 100000, .queue = 10};

static struct channel *open_channel(unsigned n) {
  char name[] = {'a', (char)('0' + n % CHANNELS), 0};
  bool created;
  return broker_open(&broker, span_of(name), &options, clock_now(clock_system()), clock_wall(clock_system()),
                     &created);
}

static void on_done(struct job *j) {
  struct store_request *r = container_of(j, struct store_request, job);
  assert(r->answer == STORE_OK);
  if (r->what == STORE_APPEND) atomic_fetch_add(&kept, 1);
  for (size_t i = 1; i < r->count && r->what == STORE_READ; i++)
    assert(r->events[i]->seq == r->events[i - 1]->seq + 1);
  if (r->what == STORE_READ) atomic_fetch_add(&read_pages, 1);
}

static void ask(unsigned n, enum store_what what) {
  struct channel *c = open_channel(n);
  struct sse_fields fields = SSE_NO_FIELDS;
  fields.data = SPAN("some text that is kept");
  struct store_request *r =
      store_request_new(c, what, what == STORE_APPEND ? &fields : NULL, 0, NULL, on_done);
  if (what == STORE_READ) r->last = -1;
  store_ask(r);
  store_request_unref(r);
  channel_unref(c);
}

static void *run(void *arg) {
  const unsigned *number = arg;
  struct shared *d = shared_open(&registry, SPAN("kept"), 0);
  shared_keep(d);
  for (unsigned i = 0; i < ROUNDS; i++) {
    struct shared_value one = {.type = SHARED_INTEGER, .integer = 1}, none = {.type = SHARED_INTEGER};
    shared_incr(d, SPAN("n"), &one, &none, INFINITY, clock_now(clock_system()));
    ask(*number + i, STORE_APPEND);
    if (i % 50 == 0) ask(i, STORE_READ);
    if (i % 500 == 0) broker_sweep(&broker, clock_now(clock_system())), store_flush(broker.store);
  }
  shared_unref(d, 0);
  return NULL;
}

static struct sqlite_store *open_store(const char *path) {
  char *error = NULL;
  struct sqlite_store *s = sqlite_store_new(
      &(struct sqlite_store_config){
          .path = path, .broker = &broker, .shared = &registry, .clock = clock_system()},
      &error);
  if (!s) fprintf(stderr, "%s\n", error), exit(1);
  return s;
}

int main(void) {
  char path[] = "/tmp/store_stress_XXXXXX";
  pthread_t threads[THREADS];
  unsigned numbers[THREADS];
  int fd = mkstemp(path);
  if (fd < 0) return 1;
  close(fd);
  broker_init(&broker, (struct broker_limits){.channels = 100, .bytes = 1 << 20, .inbox = 1 << 20});
  shared_registry_init(&registry, 1 << 20);
  struct sqlite_store *s = open_store(path);
  if (!sqlite_store_start(s)) return 1;
  for (unsigned i = 0; i < THREADS; i++) {
    numbers[i] = i;
    if (pthread_create(&threads[i], NULL, run, &numbers[i]) != 0) return 1;
  }
  for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  if (!sqlite_store_stop(s, 60)) return 1;
  bool ok = atomic_load(&kept) == THREADS * ROUNDS &&
            atomic_load(&s->store.counters.kept_total) == THREADS * ROUNDS;
  sqlite_store_free(s);
  broker_deinit(&broker);
  shared_registry_deinit(&registry);
  unlink(path);
  return ok ? 0 : 1;
}
