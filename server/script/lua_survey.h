// SPDX-License-Identifier: MIT
// What a task asks of all workers, for who looks after the server.
#pragma once
#include "serve/survey.h"

struct lua_State;

// Asks, waits for so many seconds at most, and pushes a list with each worker's answer, or false of one that
// has none; none where nobody serves. `what` is who asks, in errors; `about` is copied. Returns what the
// binding is to return.
int survey_ask(struct lua_State *L, const char *what, double seconds, survey_fn *fn, struct span about);
