// SPDX-License-Identifier: MIT
// Reloads: all workers get a new state, or none. Main thread.
#pragma once
#include "process/builder.h"

struct sources;
struct worker;

struct reload {
  struct builder *builder;
  struct inbox *inbox; // the main thread's, where its jobs come home
  struct worker **workers;
  size_t count;
  struct build build;
  unsigned attempts; // begun so far; the first is the start
  unsigned generation;
  bool is_building, again;
  struct list starting;    // of workers that have not told yet how their start ended
  bool has_failed;         // at one of them
  char *error;             // why, as app_load says it
  struct sources *sources; // to be noted; NULL: nobody watches
  void (*on_done)(struct reload *r, const char *error); // of attempt r->attempts; NULL: it is served
};

void reload_init(struct reload *r, struct builder *builder, struct inbox *inbox,
                 const struct settings *settings, const char *app, struct worker **workers, size_t count);

// Loads the application anew; while one is being loaded, once more after that. The number of the attempt that
// will have read it from now on.
unsigned reload_begin(struct reload *r);

static inline bool reload_is_busy(const struct reload *r) {
  return r->is_building || !list_empty(&r->starting);
}

// No attempt follows, and nobody waits any more for workers that start: they end. Harmless before
// reload_init.
void reload_stop(struct reload *r);

void reload_deinit(struct reload *r);
