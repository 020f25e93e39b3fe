// SPDX-License-Identifier: MIT
// The first failure is the question's: what fails behind it comes of that.
#include "client/sqlite_question.h"
#include <sqlite3.h>
#include <string.h>

void sqlite_question_deinit(struct sqlite_question *q) {
  buf_deinit(&q->sql);
  buf_deinit(&q->parameters);
  buf_deinit(&q->message);
  buf_deinit(&q->columns);
  buf_deinit(&q->rows);
}

bool sqlite_question_stops(struct sqlite_question *q) {
  if (q->kind == QUESTION_ROWS_END || q->kind == QUESTION_ROLLBACK) return false;
  return atomic_load_explicit(&q->stops, memory_order_relaxed);
}

// A word that a script can tell one failure from another by.
static const char *code_of(int error) {
  switch (error & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return "busy";
  case SQLITE_CONSTRAINT: return "constraint";
  case SQLITE_FULL: return "full";
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return "corrupt";
  case SQLITE_READONLY: return "readonly";
  case SQLITE_CANTOPEN:
  case SQLITE_PERM: return "unavailable";
  case SQLITE_IOERR: return "io";
  case SQLITE_NOMEM: return "memory";
  case SQLITE_TOOBIG: return "too large";
  case SQLITE_INTERRUPT: return "stopped";
  case SQLITE_ABORT: return "rolled back";
  case SQLITE_MISMATCH: return "mismatch";
  default: return "sql";
  }
}

int sqlite_fail(struct sqlite_question *q, const char *code, const char *message) {
  if (q->code) return -1;
  q->code = code;
  buf_append(&q->message, message, strlen(message));
  return -1;
}

int sqlite_misuse(struct sqlite_question *q, const char *message) {
  q->is_misuse = true;
  return sqlite_fail(q, "sql", message);
}

int sqlite_fail_by(struct sqlite3 *db, struct sqlite_question *q, int error) {
  return sqlite_fail(q, code_of(error), db ? sqlite3_errmsg(db) : sqlite3_errstr(error));
}
