// SPDX-License-Identifier: MIT
// Watches from outside whether the workers' loops turn: the watchdog of scripts sees Lua only. Main thread.
#pragma once
#include "loop/loop.h"
#include "process/spare.h"

struct settings;
struct turn;
struct worker;

struct turns {
  struct timer timer;
  struct loop_hook hook;
  struct spare spare;
  struct timer spare_timer;
  double spare_at; // before that it is not given back again
  double looked_at;
  struct loop *loop;
  const struct settings *settings;
  struct worker **workers;
  size_t count;
  struct turn *seen; // of each worker
};

// Begins to watch. Of a turn that is about to exceed limits.turn the line is noted. One that takes
// limits.hang seconds of CPU time ends the process; one that takes as long without using the CPU is only told
// in the log, for it may be a disk that is slow.
void turns_watch(struct turns *t, struct loop *loop, const struct settings *settings, struct worker **workers,
                 size_t count);
void turns_deinit(struct turns *t);
