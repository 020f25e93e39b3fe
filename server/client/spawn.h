// SPDX-License-Identifier: MIT
// Starts a program in a process group of its own, with three descriptors and nothing else of the server's: no
// other descriptor, no blocked or ignored signal. No shell.
#pragma once
#include <sys/types.h>

enum { SPAWN_WHY_MAX = 512 };

struct spawn {
  char *const *argv; // ends with NULL; argv[0] is looked for in PATH where it has no slash, else from `cwd`
  char *const *envp; // likewise
  const char *cwd;   // NULL: the server's
  int in, out, err;  // become 0, 1 and 2; each above 2, or -1: /dev/null
};

// Waits, some 100 us, until the program runs: NULL, its pid, which is its group's number as well, and a
// pidfd, which the caller closes. Or a short word for scripts ("missing", "directory", "denied", "format",
// "too long", "limit" or "failed") with a sentence in `why`; there is no process then. Any thread.
const char *spawn_program(const struct spawn *s, pid_t *pid, int *pidfd, char why[SPAWN_WHY_MAX]);

// Closes what it has opened. The thread sanitizer, which does not know how pidfds come about, knows this by
// its name.
void close_pidfd(int pidfd);
