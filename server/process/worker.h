// SPDX-License-Identifier: MIT
// A thread that serves: its loop, its listeners, its Lua states, its connections.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/settings.h"
#include "loop/inbox.h"
#include "serve/service.h"

struct broker;
struct builder;
struct shared_registry;
struct vm;
struct worker;

// Whom it tells that its scripts have ended; there is nothing that it would still serve then.
struct worker_owner {
  struct inbox *inbox;
  void (*on_ended)(struct worker_owner *owner); // on the inbox's thread
};

struct worker_config {
  const struct settings *settings;
  struct broker *broker;          // the process's channels
  struct shared_registry *shared; // the process's dictionaries
  struct process_state *process;
  struct builder *builder; // frees old states
  int *listeners;          // descriptors; closed and set to -1 when it stops listening
  size_t listener_count;
  struct worker_owner *owner;
};

// Starts the thread, which waits for worker_swap. NULL where there can be none.
struct worker *worker_new(const struct worker_config *config);

// What its states are built for, borrowed. Main thread.
struct service *worker_service(struct worker *w);

// Has requests go to this loaded state from now on (takes it). Main thread.
void worker_swap(struct worker *w, struct vm *vm);

// Opens the listeners. Main thread.
void worker_serve(struct worker *w);

// Has it stop listening and end once its connections have, or end at once. Main thread.
void worker_drain(struct worker *w);
void worker_quit(struct worker *w);

// Waits for the end of the thread.
void worker_join(struct worker *w);

// Frees the worker; its thread has ended, and the builder closed its states, whose finalizers use what is
// here.
void worker_free(struct worker *w);
