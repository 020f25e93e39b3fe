// SPDX-License-Identifier: MIT
// Hands the listening sockets to a new process of the program, as it lies on the disk by now, with the same
// arguments. Connections that come meanwhile wait in the sockets, which are never closed. Main thread.
#pragma once
#include <sys/types.h>
#include "loop/watch.h"
#include "loop/timer.h"
#include "process/listening.h"

// What is handed over: where the application is served, and what looks after it.
enum upgrade_set { UPGRADE_SERVING, UPGRADE_ADMIN, UPGRADE_SETS };

struct upgrade {
  struct watch watch;                         // of the pipe by which the new process says that it serves
  struct timer late;                          // when it is to serve at the latest
  pid_t pid;                                  // of the new process; 0: there is none
  pid_t heir;                                 // of the one that serves, when on_done is told so
  void (*on_store_wanted)(struct upgrade *u); // the new process waits for the store's file
  // Told once: NULL where the new process serves, else why it does not; the old one goes on then.
  void (*on_done)(struct upgrade *u, const char *error);
};

// Starts the new process, which is killed where it does not serve UPGRADE_MORE_SECONDS after `start_seconds`,
// those that its on_start functions may take; on_done is set. `more` goes into its environment (NAME=VALUE;
// NULL: nothing). NULL, or why it cannot be, static.
#define UPGRADE_MORE_SECONDS 5
const char *upgrade_begin(struct upgrade *u, struct loop *l, const struct listening *const sets[UPGRADE_SETS],
                          const char *more, double start_seconds);

// Kills the new process, where one is under way, and says so to nobody: whether there was one.
bool upgrade_stop(struct upgrade *u);

// In the new process: the sockets of a set that were handed over go into `l`, which has its addresses. 0
// where none were, 1 where they were, -1 where they are not those of the settings: what is wrong was printed.
int upgrade_take(struct listening *l, enum upgrade_set set);

// In the new process: it waits for the old one to leave the store's file.
void upgrade_want_store(void);

// In the new process: the old one may stop.
void upgrade_tell_ready(void);
