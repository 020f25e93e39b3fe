// SPDX-License-Identifier: MIT
// The process: sockets, workers, signals. Main thread.
#pragma once
#include "script/lua_cli.h"

// Serves until a signal ends it. Returns the exit code.
int server_run(const struct options *o);
