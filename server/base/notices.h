// SPDX-License-Identifier: MIT
// What inotify tells, record by record.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct notice {
  int watch;        // the number that adding it has returned; -1: notices were lost
  uint32_t what;    // IN_...
  const char *name; // in a folder that is watched; "": what is watched itself
};

// Takes the notices that have come so far and calls fn (may be NULL) for each. True where there were any.
bool notices_take(int fd, void (*fn)(void *arg, const struct notice *n), void *arg);
