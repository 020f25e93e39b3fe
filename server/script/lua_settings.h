// SPDX-License-Identifier: MIT
// Command line and settings file, both read by Lua.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/settings.h"

struct options {
  char *error;   // what is wrong, where the program is to end
  char *app;     // path of the application's script
  char **listen; // addresses as sock_listen takes them
  size_t listen_count;
  bool listen_is_configured; // by the settings file, not by -l
  int workers;
  struct settings settings;
};

struct lua_State;

enum { EXIT_OK, EXIT_APP, EXIT_USAGE, EXIT_CONFIG, EXIT_LISTEN, EXIT_INTERRUPT = 130 };

// Reads argv and the settings file it names. Returns -1 with *o filled, or the exit code
// with which the program is to end: help and version have been printed to stdout then, errors are in
// o->error.
int options_read(struct options *o, int argc, char **argv);

// Frees what options_read has put into *o, whatever it returned.
void options_deinit(struct options *o);

// Reads the groups of settings in the table at `table` over *s. Raises on an unknown key or a bad value.
void settings_read(struct lua_State *L, int table, struct settings *s);
