// SPDX-License-Identifier: MIT
// The sockets of the process: one for each address and worker. Main thread.
#pragma once
#include "loop/sock.h"
#include "process/activation.h"
#include "process/worker.h"
#include "script/lua_cli.h"

struct listening {
  const struct listen_addresses *addresses;
  const char *flag;             // of the command line, which says them
  bool takes_any;               // sockets of another process, whatever they are bound to
  bool is_configured;           // they are the settings file's, not the flag's
  size_t worker_count, count;   // count: of addresses
  size_t bound;                 // of them, so far
  int *fds;                     // worker_count rows of `count`; a worker has its own row once it runs
  struct listener_kind *kinds;  // of each address
  bool *are_passed;             // by systemd, whose files are not ours to remove
  char (*names)[SOCK_NAME_MAX]; // what each address is bound to
};

// Room for all of them, none of which is open. What it is given is borrowed.
void listening_init(struct listening *l, const struct listen_addresses *addresses, size_t workers,
                    const char *flag, bool is_configured);

// Opens them all, or takes them from those that systemd has passed. -1, or the exit code where one cannot be
// opened: what is wrong was printed.
int listening_open(struct listening *l, struct activation *passed);

// Those that have been put into `fds` are its own.
void listening_adopt(struct listening *l);

// The row of a worker.
static inline int *listening_of(const struct listening *l, size_t worker) {
  return l->fds + worker * l->count;
}

// The address that one is bound to, as sock_name.
static inline const char *listening_name(const struct listening *l, size_t which) { return l->names[which]; }

// What stands before its name in a URL; "" where that is a file.
const char *listening_scheme(const struct listening *l, size_t which);

// The files of sockets are another's to remove from now on.
void listening_leave_files(struct listening *l);

// Removes the files of sockets in the file system: afterwards the next server may have its own there.
void listening_remove_files(struct listening *l);

// Closes what is open and frees the rest.
void listening_close(struct listening *l);
