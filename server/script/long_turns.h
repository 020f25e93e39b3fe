// SPDX-License-Identifier: MIT
// Tells of turns that took longer than limits.turn: something has held up everybody whom the worker serves.
#pragma once
#include <stdatomic.h>
#include "loop/loop.h"

struct service;

struct long_turns {
  struct turn_limit limit;
  struct service *service;
  int worker;
  uint64_t untold;            // since the last that was told
  _Atomic double quiet_until; // by the loop's clock; any thread may read it
};

// Counts such turns of the service's loop from now on, and logs one in a minute; in spate dev one in a
// second, with a way out. The loop's thread; both outlive its turns.
void long_turns_watch(struct long_turns *t, struct service *service, int worker);

// Whether a turn that ends now would be told, so that its place is worth a look. Any thread.
bool long_turns_would_tell(const struct long_turns *t);
