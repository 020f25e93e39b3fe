// SPDX-License-Identifier: MIT
// Pages of channels' past that a worker has asked stores for: few at a time, the others are held back until
// one has come, and refused where that takes too long. Worker thread only.
#pragma once
#include "base/list.h"
#include "loop/loop.h"

struct store_request;

struct pages {
  struct loop *loop;
  size_t asked;        // and not got
  struct list waiting; // held back, oldest first
  struct timer late;
};

void pages_init(struct pages *p, struct loop *l);

// Nobody waits any more.
void pages_deinit(struct pages *p);

// Has it asked for, now or later. Its on_done begins with pages_arrived.
void pages_ask(struct pages *p, struct store_request *r);
void pages_arrived(struct store_request *r);

// Nobody waits for the page any more: drops the asker's reference. One that is held back is never asked for.
void pages_leave(struct store_request *r);
