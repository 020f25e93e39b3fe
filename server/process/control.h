// SPDX-License-Identifier: MIT
// The server's end of its control socket: reload, stop, status. Main thread.
#pragma once
#include "base/list.h"
#include "loop/control.h"
#include "loop/sock.h"

struct control;

struct control_ops {
  unsigned (*reload)(struct control *c); // begins one; its number, 0 where the server stops
  void (*stop)(struct control *c);
  void (*status)(struct control *c, struct buf *answer); // lines of "name value"
};

struct control {
  const struct control_ops *ops;
  struct listener listener;
  struct loop *loop;
  int fd; // -1: there is no socket
  char path[CONTROL_PATH_MAX];
  struct list clients;
  size_t client_count;
};

// Opens the socket; where there can be none the server goes on without, and the log says so.
void control_open(struct control *c, struct loop *loop, const struct control_ops *ops);

// Answers those who have waited for this reload, or an earlier one: NULL, or what is wrong.
void control_reloaded(struct control *c, unsigned number, const char *error);

void control_close(struct control *c);
