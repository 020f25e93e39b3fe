// SPDX-License-Identifier: MIT
// Who listens at a port of this machine.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

enum { PROGRAM_NAME_MAX = 64 };

struct port_owner {
  pid_t pid;
  char name[PROGRAM_NAME_MAX];
};

// Looks in /proc for a process that listens at this TCP port. False where there is none, or none that the
// caller may look into.
bool port_owner_find(unsigned port, struct port_owner *owner);
