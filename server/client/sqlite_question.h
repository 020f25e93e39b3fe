// SPDX-License-Identifier: MIT
// What an SQLite file is asked, and what has come of it. Whoever answers it has it alone, but for `stops`.
#pragma once
#include <stdatomic.h>
#include "client/values.h"

struct sqlite3;

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

// Whether it is to end now. What ends something, rows or a transaction, is always done.
bool sqlite_question_stops(struct sqlite_question *q);

// Notes why it has failed, unless it has already, with a code (static) and behind what is in the message. -1.
int sqlite_fail(struct sqlite_question *q, const char *code, const char *message);

// The same of the script's own mistake.
int sqlite_misuse(struct sqlite_question *q, const char *message);

// The same of SQLite's error; of `db`, or NULL where there is none.
int sqlite_fail_by(struct sqlite3 *db, struct sqlite_question *q, int error);
