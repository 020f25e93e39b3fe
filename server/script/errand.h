// SPDX-License-Identifier: MIT
// A call from a script that waits while a thread does its work. What is done is C memory and knows no Lua;
// its results are built when the task goes on. Whoever is cancelled meanwhile is not told any more.
#pragma once
#include <lauxlib.h>
#include "loop/pool.h"
#include "script/held.h"
#include "script/task.h"
#include "serve/service.h"

struct errand;

struct errand_ops {
  void (*run)(struct errand *e);               // on a thread of the pool
  int (*push)(lua_State *L, struct errand *e); // pushes the results; may raise
  void (*free)(struct errand *e);              // frees it, on home's thread
};

// Embedded first in what is to be done, and what that finds.
struct errand {
  struct work work;
  struct service *service;
  size_t held; // bytes, of service->work_bytes
  struct waitlist waiter;
  const struct errand_ops *ops;
  enum errand_state { ERRAND_HELD, ERRAND_UNDER_WAY, ERRAND_DONE, ERRAND_LEFT } state;
};

// Puts the errand, which is freed with it from now on, into what held_push_closed has made before the errand
// was allocated. Never raises.
void errand_put(lua_State *L, struct held **box, struct errand *e, const struct errand_ops *ops);

// Counts bytes that it has until it is freed against limits.work; false where they are too many beside what
// others have: not counted then. Any thread.
bool errand_hold(struct errand *e, size_t bytes);

// nil, a message that begins with `what`, "busy". 3.
int errand_push_busy(lua_State *L, const char *what);

// Has the errand in the box at `index` run, and waits for it; nil, a message that begins with `what`, "busy"
// where too much waits already. The last thing that a C function does.
int errand_wait(lua_State *L, struct task *t, int index, enum work_kind kind, const char *what);
