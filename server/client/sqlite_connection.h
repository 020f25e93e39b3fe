// SPDX-License-Identifier: MIT
// A connection to an SQLite file, and what is asked of it. One thread at a time, whichever; it may block.
#pragma once
#include <stdatomic.h>
#include "client/values.h"

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

enum sqlite_kind {
  QUESTION_EXEC,     // of one statement with parameters, or of several
  QUESTION_QUERY,    // whose rows come at once
  QUESTION_ROWS,     // whose rows come page by page: the first
  QUESTION_MORE,     // the next page
  QUESTION_ROWS_END, // lets go of them
  QUESTION_BEGIN,
  QUESTION_COMMIT,
  QUESTION_ROLLBACK // harmless where there is nothing to roll back
};

// What is asked, and what has come of it.
struct sqlite_question {
  enum sqlite_kind kind;
  bool in_transaction; // it is to be done only where that has not ended meanwhile
  struct buf sql;
  struct buf parameters; // values; by name, a text before each
  size_t parameter_count;
  bool is_named;
  uint64_t cursor;   // of rows that come page by page: a number for each
  atomic_bool stops; // any thread may set it: it ends with the code "stopped"

  const char *code;         // static; NULL: it went well
  struct buf message;       // where it did not
  bool is_misuse;           // the script's own mistake
  struct buf columns, rows; // texts; values, one row behind another
  size_t column_count, row_count;
  bool has_more; // behind this page
  int64_t changes, last_id;
};

// Frees what the question holds.
void sqlite_question_deinit(struct sqlite_question *q);

// Opens nothing yet. The configuration is borrowed, and outlives it.
struct sqlite_connection *sqlite_connection_new(const struct sqlite_config *config);

// Closes the file.
void sqlite_connection_free(struct sqlite_connection *c);

// Does what is asked; opens the file, and brings it up to date, where that has not come about before.
void sqlite_connection_ask(struct sqlite_connection *c, struct sqlite_question *q);

// The version of the library, static.
const char *sqlite_library_version(void);
