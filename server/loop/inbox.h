// SPDX-License-Identifier: MIT
// Messages from any thread to one loop. A post wakes the loop; messages arrive in the order of posting, once
// per turn, with no lock held.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "loop/loop.h"

struct message {
  struct list link;
  void (*deliver)(struct message *m); // on the loop's thread; owns the message from here on
};

struct inbox {
  pthread_mutex_t lock;
  struct list messages;
  atomic_bool has_any; // so that a turn without messages takes no lock
  struct loop *loop;
  struct loop_hook hook;
  atomic_size_t bytes; // of what waits for this loop, as those count who leave it there
};

// Ties an inbox to a loop, on the loop's thread or before it runs.
void inbox_init(struct inbox *b, struct loop *l);

// Delivers what has come so far. The loop's thread; the loop does so in each turn.
void inbox_deliver(struct inbox *b);

// Delivers what is left and lets go of the loop; nobody may post any more.
void inbox_deinit(struct inbox *b);

// Takes the message. Any thread.
void inbox_post(struct inbox *b, struct message *m);
