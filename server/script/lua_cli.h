// SPDX-License-Identifier: MIT
// The command line and the settings file, both read by Lua; commands that do not serve are run by it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "script/lua_listen.h"
#include "serve/settings.h"

struct options {
  char *error; // what is wrong, where the program is to end
  char *app;   // path of the application's script
  struct listen_addresses listen;
  bool listen_is_configured; // by the settings file, not by -l
  bool admin_is_usual;       // spate dev's own: at a port that is free
  bool admin_is_configured;  // by the settings file, not by --admin
  bool only_starts;          // it ends once it could serve, and listens nowhere
  int workers;
  char *admin_token; // of the environment, which has it no more; NULL: there was none
  struct settings settings;
};

#define ADMIN_TOKEN_VARIABLE "SPATE_ADMIN_TOKEN"

struct lua_State;

enum { EXIT_OK, EXIT_APP, EXIT_USAGE, EXIT_CONFIG, EXIT_LISTEN, EXIT_INTERRUPT = 130 };

// Reads argv and the settings file it names; `harness` opens the module for specs. Returns -1 with *o filled
// where there is an application to serve, or the exit code with which the program is to end: what was asked
// for has been done and printed then, errors are in o->error.
int options_read(struct options *o, int argc, char **argv, int (*harness)(struct lua_State *));

// Frees what options_read has put into *o, whatever it returned.
void options_deinit(struct options *o);
