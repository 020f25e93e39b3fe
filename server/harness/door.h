// SPDX-License-Identifier: MIT
// Where clients of a server in memory come in as they do from the network: by a listening socket of the
// kernel's that the server's own listener accepts on. What a connection carries goes through memory as ever.
#pragma once
#include <sys/socket.h>
#include <sys/un.h>
#include "loop/sock.h"

struct client;
struct harness;

struct door {
  struct listener listener;
  struct sockaddr_un address;
  socklen_t address_len;
  int fd; // -1: there is none
};

// 0, or -1 where the system gives no socket.
int door_open(struct harness *h);

// Who has not been let in is not any more. Harmless where there is none.
void door_close(struct harness *h);

// A client of the server's that has connected, and that the server has yet to accept. 0, or -1 where the
// system gives no socket.
int door_knock(struct harness *h, struct client *c);

// The same client goes away again; harmless once it has been accepted.
void door_turn_back(struct client *c);
