// SPDX-License-Identifier: MIT
// A prepared statement, its parameters and its rows; and those of a connection that are kept for the next
// time. Failures are noted in the question. The connection's thread.
#pragma once
#include "base/list.h"
#include "client/sqlite_question.h"

struct sqlite3_stmt;

struct sqlite_statement {
  struct list link; // in the idle ones
  struct sqlite3_stmt *stmt;
  struct buf sql;
};

struct sqlite_statements {
  struct list idle;
  size_t idle_count, idle_max;
};

void sqlite_statements_init(struct sqlite_statements *all, size_t idle_max);

// Frees those that are kept, not those that are taken.
void sqlite_statements_deinit(struct sqlite_statements *all);

// The statement that the question is about, for it alone. NULL: it has failed.
struct sqlite_statement *sqlite_statement_take(struct sqlite_statements *all, struct sqlite3 *db,
                                               struct sqlite_question *q);

// Keeps it for the next time.
void sqlite_statement_put_back(struct sqlite_statements *all, struct sqlite_statement *s);

// One that is taken and is not put back.
void sqlite_statement_free(struct sqlite_statement *s);

// Gives it the question's parameters. 0 or -1.
int sqlite_statement_bind(struct sqlite_statement *s, struct sqlite3 *db, struct sqlite_question *q);

// Adds the names of its columns, or the row that it is at, to the answer.
void sqlite_statement_add_columns(struct sqlite_statement *s, struct sqlite_question *q);
void sqlite_statement_add_row(struct sqlite_statement *s, struct sqlite_question *q);
