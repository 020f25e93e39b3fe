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
  struct vm *current; // NULL before the first
  struct list vms;    // oldest first, the current one last
  struct list aging;  // generations whose streams have a time to end
  size_t aging_count;
  struct loop_hook hook;
  void (*on_spent)(struct generations *g, struct vm *vm); // takes a detached state, for vm_free
  struct loop *spent_loop;                                // whose time a detached state has
};

void generations_init(struct generations *g, struct service *service, struct loop *spent_loop,
                      void (*on_spent)(struct generations *g, struct vm *vm));

// Takes a loaded state: it is attached and started, and requests go to it from now on. The tasks of the one
// before are cancelled; its streams go on for reload.max_age, or end at once where settings.dev.on.
void generations_swap(struct generations *g, struct vm *vm);

// service_ops.on_request: to the current state.
void generations_begin(struct generations *g, struct stream *stream);

// Begins the current state's on_stop functions.
void generations_stop(struct generations *g);

// True while on_stop functions run, of any state.
bool generations_are_stopping(const struct generations *g);

// Detaches and hands over every state; the service's connections are closed already.
void generations_deinit(struct generations *g);
