// SPDX-License-Identifier: MIT
// A connection to an SQLite file. One thread at a time, whichever; it may block.
#pragma once
#include "client/sqlite_question.h"

struct sqlite_connection;

struct sqlite_config {
  char *path;
  char *journal; // the mode that the file gets; NULL: it keeps its own
  bool is_read_only;
  double busy;           // seconds to wait for another process that has it locked
  struct buf migrations; // texts (values_put), in order
  size_t migration_count;
  size_t statements; // that are kept prepared
  size_t rows_max, bytes_max;
};

// Opens nothing yet. The configuration is borrowed, and outlives it.
struct sqlite_connection *sqlite_connection_new(const struct sqlite_config *config);

// Closes the file.
void sqlite_connection_free(struct sqlite_connection *c);

// Does what is asked; opens the file, and brings it up to date, where that has not come about before.
void sqlite_connection_ask(struct sqlite_connection *c, struct sqlite_question *q);

// The version of the library, static.
const char *sqlite_library_version(void);
