// SPDX-License-Identifier: MIT
// A thread that loads applications and closes their states, so that no loop waits for it.
#pragma once
#include <stddef.h>
#include "loop/job.h"

struct service;
struct settings;
struct vm;
struct builder;

// A generation in the making: one state for each worker, or none.
struct build {
  struct job job;
  const struct settings *settings;
  const char *app;
  unsigned generation;
  struct service **services; // of the workers
  struct vm **vms;           // as many; all NULL where it failed
  size_t count;
  char *error;      // why, as app_load says it; NULL where it did not. Set before: only that is to be shown
  bool shows_error; // in place of an application that does not load the states show why
  double seconds;
  size_t routes; // of the application
};

// Starts the thread. NULL where there can be none.
struct builder *builder_new(const struct settings *settings);

// Builds: finishes b->job. One at a time. Main thread.
void builder_start(struct builder *builder, struct build *b);

// Frees a detached state. Any thread.
void builder_close(struct builder *builder, struct vm *vm);

// The loop whose time a detached state has.
struct loop *builder_loop(struct builder *builder);

// Ends the thread once it has freed what it was given, and frees the builder. False where that takes longer
// than so many seconds: it goes on then. Main thread.
bool builder_free(struct builder *builder, double seconds);
