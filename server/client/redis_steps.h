// SPDX-License-Identifier: MIT
// What dictionaries have asked the store on Redis for, on its way to the server. The store's thread only.
#pragma once
#include "client/redis_calls.h"
#include "store/store_call.h"

struct redis_steps {
  struct redis_calls *calls;
  struct list list;                             // of those on their way
  void (*on_answered)(struct redis_steps *all); // one of them has been
};

// `calls` outlives it.
void redis_steps_init(struct redis_steps *all, struct redis_calls *calls,
                      void (*on_answered)(struct redis_steps *all));

// Carries out a call, which is its own until that is answered.
void redis_step(struct redis_steps *all, struct store_call *call);

// All are unavailable.
void redis_steps_refuse(struct redis_steps *all);
