// SPDX-License-Identifier: MIT
// A program that the server has started, and the process group that it leads. It ends with its group: what it
// leaves in the background is told to end (SIGTERM) when it has, as all are by process_end, and killed after
// timeouts.kill. One worker's, whose thread alone has it.
#pragma once
#include "client/groups.h"
#include "client/input.h"
#include "client/output.h"
#include "client/spawn.h"
#include "loop/timer.h"

struct service;

// Those of a worker.
struct processes {
  struct service *service;
  struct list all;
};

enum process_errors { PROCESS_ERRORS_LOGGED, PROCESS_ERRORS_MERGED, PROCESS_ERRORS_SEPARATE };

struct process_config {
  char *const *argv, *const *envp; // as in struct spawn
  const char *cwd;
  bool has_stdin;             // else it reads the end of a file
  const void *owner;          // whose end is its end as well (processes_end_of)
  enum process_errors errors; // where its standard error goes: to the log, to its output, to `errors`
};

// Whom it tells.
struct process_user {
  void (*on_news)(struct process_user *u); // something has changed. Does not enter Lua
};

enum process_life {
  PROCESS_RUNNING,
  PROCESS_LINGERING, // it has ended, others of its group have not
  PROCESS_OVER
};

struct process {
  struct list link;
  struct processes *all;
  struct group group;
  char *name; // of the program, for the log
  int pidfd;
  struct watch exit;
  struct timer timer; // for what is to happen next to the group
  double kill_at;     // INFINITY: nobody has told it to end
  enum process_life state;
  int code, signal; // once it does not run: its exit code, or -1 and the signal that ended it
  struct input input;
  struct output output, errors;
  const void *owner;
  struct process_user *user; // NULL: nobody has it any more
};

void processes_init(struct processes *all, struct service *service);

// Ends all of them and waits for that: `seconds` after SIGTERM they are killed.
void processes_deinit(struct processes *all, double seconds);

// Starts a program; what its user sees of it is his until process_release. NULL with a short word in *code
// and a sentence in `why`, as spawn_program; "limit" also at limits.processes.
struct process *process_spawn(struct processes *all, const struct process_config *config,
                              struct process_user *user, const char **code, char why[SPAWN_WHY_MAX]);

// Sends a signal to its group: 0, or -1 where it has ended, or with an errno.
int process_signal(struct process *p, int signal);

// Has the group end. What it still writes is dropped.
void process_end(struct process *p);

// Has those of an owner end, also those that nobody has any more.
void processes_end_of(struct processes *all, const void *owner);

// Its user leaves: it goes on by itself until it ends, its input closed and its output dropped.
void process_release(struct process *p);
