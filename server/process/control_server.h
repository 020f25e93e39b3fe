// SPDX-License-Identifier: MIT
// The server's end of its control socket: reload, stop, status. Main thread.
#pragma once
#include "base/list.h"
#include "loop/control_client.h"
#include "loop/sock.h"

struct control_server;

struct control_server_ops {
  unsigned (*reload)(struct control_server *c); // begins one; its number, 0 where the server stops
  void (*stop)(struct control_server *c);
  void (*status)(struct control_server *c, struct buf *answer); // lines of "name value"
  const char *(*upgrade)(struct control_server *c);             // begins one; NULL, or why it cannot be
};

struct control_server {
  const struct control_server_ops *ops;
  struct listener listener;
  struct loop *loop;
  int fd; // -1: there is no socket
  char path[CONTROL_PATH_MAX];
  struct list clients;
  size_t client_count;
};

// Opens the socket; where there can be none the server goes on without, and the log says so.
void control_server_open(struct control_server *c, struct loop *loop, const struct control_server_ops *ops);

// Answers those who have waited for this reload, or an earlier one: NULL, or what is wrong.
void control_server_reloaded(struct control_server *c, unsigned number, const char *error);

// Answers those who have waited for an upgrade: NULL, or what is wrong.
void control_server_upgraded(struct control_server *c, const char *error);

void control_server_close(struct control_server *c);
