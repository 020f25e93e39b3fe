// SPDX-License-Identifier: MIT
// Texts of several statements, none of which is kept, and the migrations that are such texts: each runs in a
// transaction with the version that it brings, so that it is done once, whoever else opens the file.
#include "client/sqlite_script.h"
#include <sqlite3.h>

bool sqlite_is_blank(const char *sql) {
  while (*sql == ' ' || *sql == '\t' || *sql == '\n' || *sql == '\r' || *sql == ';') sql++;
  return !*sql;
}

int sqlite_script_run(sqlite3 *db, struct sqlite_question *q, const char *sql) {
  while (!sqlite_is_blank(sql)) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite_question_stops(q)) return sqlite_fail(q, "stopped", "interrupted");
    int error = sqlite3_prepare_v2(db, sql, -1, &stmt, &sql);
    if (!error && sqlite3_bind_parameter_count(stmt)) {
      sqlite3_finalize(stmt);
      return sqlite_misuse(q, "of several statements none has parameters: one call for each");
    }
    while (!error && stmt && (error = sqlite3_step(stmt)) == SQLITE_ROW) error = 0;
    if (error && error != SQLITE_DONE) sqlite_fail_by(db, q, error);
    sqlite3_finalize(stmt);
    if (q->code) return -1;
  }
  return 0;
}

int64_t sqlite_user_version(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  int64_t version = -1;
  if (!sqlite3_prepare_v2(db, "pragma user_version", -1, &stmt, NULL) && sqlite3_step(stmt) == SQLITE_ROW)
    version = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return version;
}

// Runs the migration `number`, which is a text of statements, unless another has come before us.
static int migrate(sqlite3 *db, struct sqlite_question *q, int64_t number, struct span sql) {
  struct buf all = {0};
  if (sqlite_script_run(db, q, "begin immediate") < 0) return -1;
  if (sqlite_user_version(db) < number) {
    buf_append_span(&all, sql);
    buf_printf(&all, "\n;pragma user_version = %lld", (long long)number);
    buf_append_byte(&all, 0);
    sqlite_script_run(db, q, all.bytes);
    buf_deinit(&all);
  }
  if (!q->code && sqlite3_get_autocommit(db))
    sqlite_misuse(q, "a migration ends no transaction: it is in one");
  if (!q->code) sqlite_script_run(db, q, "commit");
  if (!q->code) return 0;
  if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "rollback", NULL, NULL, NULL);
  buf_printf(&all, "migration %lld: ", (long long)number);
  buf_append_span(&all, buf_span(&q->message));
  buf_deinit(&q->message);
  q->message = all;
  return -1;
}

int sqlite_migrate(sqlite3 *db, const struct sqlite_config *config, struct sqlite_question *q) {
  struct span rest = buf_span(&config->migrations);
  struct value text;
  int64_t version = sqlite_user_version(db), number = 0;
  if (version < 0) return sqlite_fail_by(db, q, sqlite3_extended_errcode(db));
  if (version > (int64_t)config->migration_count) {
    buf_printf(&q->message, "the file is at version %lld, of %zu migrations that the script has",
               (long long)version, config->migration_count);
    return sqlite_fail(q, "newer", "");
  }
  while (values_next(&rest, &text))
    if (++number > version && migrate(db, q, number, text.text) < 0) return -1;
  return 0;
}
