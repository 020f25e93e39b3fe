// SPDX-License-Identifier: MIT
// The process groups that the server has started and whose leaders it has not reaped yet, so that their
// numbers mean them and nobody else: how many there may be, and who is to be ended with the server. Any
// thread.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include "base/list.h"

struct groups {
  pthread_mutex_t lock;
  struct list all;
  size_t count;
};

struct group {
  struct list link;
  pid_t id; // its leader's pid as well
};

void groups_init(struct groups *g);
void groups_deinit(struct groups *g);

// Takes a place for one that is about to start, below `max`; false where there is none. Given back by
// groups_leave.
bool groups_enter(struct groups *g, size_t max);

// It has started; it is over: before its leader is reaped.
void groups_add(struct groups *g, struct group *group);
void groups_remove(struct groups *g, struct group *group);
void groups_leave(struct groups *g);

// Sends a signal to all.
void groups_signal(struct groups *g, int signal);
