// SPDX-License-Identifier: MIT
// What a worker is at, as JSON, for who looks after the server. Worker thread only.
#pragma once
#include "serve/survey.h"

// A row of the worker: { "cpu" (seconds of its thread), "turns", "connections", "streams", "requests",
// "events", "bytes", "slow", "dropped", "long_turns", "generations": [{ "number", "streams", "tasks",
// "lua_bytes", "requests", "is_served" }] }.
survey_fn worker_list;

// A row for each place at which tasks wait, and each kind of these: { "where", "route", "kind", "state",
// "generation", "count" }. Before them a line with how many tasks there are, and how many were looked at: the
// first 2,000 of each state.
survey_fn task_list;
