// SPDX-License-Identifier: MIT
// A service without a server, for what loads or runs Lua when nobody is to be served. One thread.
#pragma once
#include "event/broker.h"
#include "event/shared.h"
#include "loop/inbox.h"
#include "serve/service.h"

struct bench {
  struct loop loop;
  struct inbox inbox;
  struct settings settings; // the defaults
  struct broker broker;
  struct shared_registry shared;
  struct service service;
  struct process_state process;
};

// Ready, on a loop of this clock; `polls` false: it waits for nothing. 0, or -1 where the kernel gives it no
// descriptors.
int bench_init(struct bench *b, const struct clock *clock, bool polls);
void bench_deinit(struct bench *b);
