// SPDX-License-Identifier: MIT
// A thread that serves: its loop, its listeners, its Lua state, its connections.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/settings.h"

struct broker;
struct shared_registry;
struct worker;

enum worker_state { WORKER_LOADING, WORKER_READY, WORKER_FAILED, WORKER_ENDING, WORKER_ENDED };

struct worker_config {
  const struct settings *settings;
  const char *app;
  struct broker *broker;          // the process's channels
  struct shared_registry *shared; // the process's dictionaries
  int number;
  int *listeners; // descriptors; closed and set to -1 when it stops listening
  size_t listener_count;
};

// Starts the thread, which loads the application and waits for worker_serve. NULL where there can be no
// thread.
struct worker *worker_new(const struct worker_config *config);

// Waits until the application is loaded. 0, or -1 with the reason (borrowed) in *error. Main thread.
int worker_wait_loaded(struct worker *w, const char **error);

// Opens the listeners. Main thread.
void worker_serve(struct worker *w);

// Has it stop listening and end once its connections have, or end at once. Main thread.
void worker_drain(struct worker *w);
void worker_quit(struct worker *w);

// True once its scripts have ended and its thread is about to. Main thread.
bool worker_has_ended(struct worker *w);

// Waits for the thread and frees the worker.
void worker_free(struct worker *w);
