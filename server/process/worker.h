// SPDX-License-Identifier: MIT
// A thread that serves: its loop, its listeners, its Lua states, its connections.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "loop/job.h"
#include "serve/service.h"
#include "serve/settings.h"

struct broker;
struct builder;
struct shared_registry;
struct tls_hosts;
struct vm;
struct worker;

// Whom it tells, on the inbox's thread, that its scripts have ended; there is nothing that it would still
// serve then.
struct worker_owner {
  struct inbox *inbox;
  void (*on_ended)(struct worker_owner *owner); // NULL: it is joined, and nobody waits for word
};

// A loaded state that it is to start, and how that has ended.
struct start {
  struct job job;
  struct vm *vm; // the worker's from when it has it
  char *error;   // why it may not be served; NULL: it may, or the worker ends
};

// What is spoken at an address.
struct listener_kind {
  bool is_secure;         // TLS
  uint16_t redirect_port; // as transport.redirect_port
};

struct worker_config {
  int number; // from 0
  const struct settings *settings;
  struct broker *broker;          // the process's channels
  struct shared_registry *shared; // the process's dictionaries
  struct process_state *process;
  struct process_state *subject; // as service.subject
  const char *own_app;           // a module of the library, which it serves from its begin on; else NULL
  struct builder *builder;       // frees old states
  int *listeners;                // descriptors; closed and set to -1 when it stops listening
  const struct listener_kind *listener_kinds; // as many
  size_t listener_count;
  struct worker_owner *owner;
};

// Starts the thread, which waits for worker_start. NULL where there can be none.
struct worker *worker_new(const struct worker_config *config);

// Why its sends go one by one, static; NULL: a turn's go together. Main thread.
const char *worker_sends_singly(const struct worker *w);

// What its states are built for, borrowed. Main thread.
struct service *worker_service(struct worker *w);

// Has the state run its on_start functions; the job is finished when these have ended, or when the worker
// does. One at a time. Main thread.
void worker_start(struct worker *w, struct start *s);

// Has requests go to the state that has started from now on, or gives it up. Main thread.
void worker_commit(struct worker *w);
void worker_abandon(struct worker *w);

// Has new connections by TLS be made to these hosts (taken). Main thread.
void worker_use_hosts(struct worker *w, struct tls_hosts *hosts);

// Opens the listeners. Main thread.
void worker_serve(struct worker *w);

// In spate dev: has the pages that are open show why newer code is not served. Main thread.
void worker_show_failure(struct worker *w, const char *report);

// The turn that its loop is in and the CPU time of its thread so far; 0: the loop sleeps, or has ended. Main
// thread.
unsigned long worker_turn(struct worker *w, double *cpu);

// How often its loop has fallen asleep and woken; has it do so. Any thread.
unsigned long worker_turns(struct worker *w);
void worker_wake(struct worker *w);

// Whether it has been at work, and woken the main thread's loop for that, since it was left unwatched. Any
// thread.
bool worker_is_watched(struct worker *w);

// Nobody watches it until it asks for that. Main thread.
void worker_leave_unwatched(struct worker *w);

// Has the line noted that its present turn is in, where it will be told of. Main thread.
void worker_look(struct worker *w);

// Has it take no new connections. Main thread.
void worker_stop_listening(struct worker *w);

// Has it stop listening and end once its connections have, or end at once. Main thread.
void worker_drain(struct worker *w);
void worker_quit(struct worker *w);

// Waits, for a second at most, until one that was told to drain listens no more. Main thread.
void worker_await_deaf(struct worker *w);

// Waits for the end of the thread.
void worker_join(struct worker *w);

// Frees the worker; its thread has ended, and the builder closed its states, whose finalizers use what is
// here.
void worker_free(struct worker *w);
