// SPDX-License-Identifier: MIT
// The states of one worker: the one that new requests go to, and those before it, for as long as something of
// theirs runs. Worker thread only.
#pragma once
#include "base/list.h"
#include "loop/timer.h"
#include "serve/service.h"

struct vm;

struct generations {
  struct service *service;
  struct vm *current;  // NULL before the first
  struct vm *starting; // its on_start functions run, or have, and nothing goes to it yet; or NULL
  bool is_told;        // how that has ended
  struct timer patience;
  struct list vms;   // oldest first, the newest last
  struct list aging; // generations whose streams have a time to end
  size_t aging_count;
  struct loop_hook hook;
  void (*on_spent)(struct generations *g, struct vm *vm); // takes a detached state, for app_free
  void (*on_started)(struct generations *g, char *error); // takes why not; NULL: it may be served
  struct loop *spent_loop;                                // whose time a detached state has
};

void generations_init(struct generations *g, struct service *service, struct loop *spent_loop,
                      void (*on_spent)(struct generations *g, struct vm *vm),
                      void (*on_started)(struct generations *g, char *error));

// Takes a loaded state: it is attached, and its on_start functions run while requests go to the current one.
// Once, in a later turn, on_started tells how they have ended; where they take longer than timeouts.start, or
// the state is given up before that, as well.
void generations_start(struct generations *g, struct vm *vm);

// Requests go to the state that has started from now on. The tasks of the one before are cancelled; its
// streams go on for reload.max_age, or end at once where settings.dev.on.
void generations_commit(struct generations *g);

// Gives up the state that starts or has started, if any.
void generations_abandon(struct generations *g);

// service_ops.on_request: to the current state.
void generations_begin(struct generations *g, struct stream *stream);

// Begins the current state's on_stop functions.
void generations_stop(struct generations *g);

// True while on_stop functions run, of any state.
bool generations_are_stopping(const struct generations *g);

// Detaches and hands over every state; the service's connections are closed already.
void generations_deinit(struct generations *g);
