// SPDX-License-Identifier: MIT
// The control sockets of running servers, one per process, in a folder of the user's own: where they are, and
// how to ask one. A question is a line; the answer is all bytes until the end.
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/buf.h"

enum { CONTROL_PATH_MAX = 100, CONTROL_PIDS_MAX = 1000 };

// The path of a process's socket in the folder $XDG_RUNTIME_DIR/spate, /run/spate for root, else
// /tmp/spate-UID. Where `make`, the folder is made. False where there can be none: it is another user's.
bool control_path(pid_t pid, bool make, char out[CONTROL_PATH_MAX]);

// The processes that have one, into pids; their number. Those that are gone are cleared away.
size_t control_list(pid_t pids[CONTROL_PIDS_MAX]);

// Asks a server and appends its answer, waiting at most `timeout` seconds for each part of it. False where it
// does not answer. Blocks: for commands, not for loops.
bool control_ask(pid_t pid, const char *question, double timeout, struct buf *answer);
