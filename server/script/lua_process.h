// SPDX-License-Identifier: MIT
// Programs for the library.
#pragma once
#include <lua.h>

// Registers the metatable of programs and adds to the table on top of the stack:
//   spawn_program(argv, environment, replaced, cwd, has_stdin, errors)
//                           a program; or nil, message, word. `environment`: a list of "NAME=VALUE" beside
//                           the server's variables but those in the set `replaced`; `errors`: 0 log, 1
//                           merged, 2 separate
//   signal_number(name)     of "TERM", "SIGTERM"; nil where there is none
void lua_process_open(lua_State *L);
