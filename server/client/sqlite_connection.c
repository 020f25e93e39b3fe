// SPDX-License-Identifier: MIT
// A file is opened when something is first asked of it, and again with the next question where that failed.
// A transaction that a statement has begun by itself
// would be everybody's, so it is rolled back. What runs is stopped by a flag that SQLite asks for now and
// then.
#include "client/sqlite_connection.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>
#include "base/mem.h"
#include "client/sqlite_script.h"
#include "client/sqlite_statement.h"
#include "store/sqlite_wal.h"

enum { PAGE_ROWS = 100, PAGE_BYTES = 64 << 10, CURSORS_MAX = 64, PROGRESS_STEPS = 2000, BUSY_MS = 5 };

struct cursor {
  struct list link;
  uint64_t number;
  struct sqlite_statement *statement;
};

struct sqlite_connection {
  const struct sqlite_config *config;
  sqlite3 *db; // NULL: not open
  struct sqlite_wal wal;
  struct sqlite_statements statements;
  struct list cursors;
  size_t cursor_count;
  struct sqlite_question *question; // that is being answered
  double waited;                    // seconds for another process
};

struct sqlite_connection *sqlite_connection_new(const struct sqlite_config *config) {
  struct sqlite_connection *c = xcalloc(1, sizeof *c);
  c->config = config;
  sqlite_statements_init(&c->statements, config->statements);
  list_init(&c->cursors);
  return c;
}

static void cursor_free(struct sqlite_connection *c, struct cursor *cursor) {
  list_remove(&cursor->link);
  c->cursor_count--;
  free(cursor);
}

static void close_file(struct sqlite_connection *c) {
  list_each (node, &c->cursors) {
    struct cursor *cursor = container_of(node, struct cursor, link);
    sqlite_statement_free(cursor->statement);
    cursor_free(c, cursor);
  }
  sqlite_statements_deinit(&c->statements);
  sqlite3_close(c->db);
  c->db = NULL;
}

void sqlite_connection_free(struct sqlite_connection *c) {
  close_file(c);
  free(c);
}

const char *sqlite_library_version(void) { return sqlite3_libversion(); }

static int has_stopped(void *owner) {
  const struct sqlite_connection *c = owner;
  return c->question && sqlite_question_stops(c->question);
}

// Another process has it locked: true to try again.
static int on_busy(void *owner, int times) {
  struct sqlite_connection *c = owner;
  if (!times) c->waited = 0;
  if (c->waited >= c->config->busy || has_stopped(c)) return 0;
  nanosleep(&(struct timespec){.tv_nsec = BUSY_MS * 1000000L}, NULL);
  c->waited += BUSY_MS / 1e3;
  return 1;
}

static int set_up(struct sqlite_connection *c, struct sqlite_question *q) {
  sqlite3_extended_result_codes(c->db, 1);
  sqlite3_busy_handler(c->db, on_busy, c);
  sqlite3_progress_handler(c->db, PROGRESS_STEPS, has_stopped, c);
  sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, (int)MIN(c->config->bytes_max, 1000000000));
  if (sqlite_script_run(
          c->db, q, "pragma trusted_schema = off; pragma foreign_keys = on; pragma secure_delete = off") < 0)
    return -1;
  if (c->config->journal) {
    char *sql = xasprintf("pragma journal_mode = %s", c->config->journal);
    sqlite_script_run(c->db, q, sql);
    free(sql);
    if (q->code) return -1;
  }
  return c->config->migration_count ? sqlite_migrate(c->db, c->config, q) : 0;
}

static int open_file(struct sqlite_connection *c, struct sqlite_question *q) {
  int flags = c->config->is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  int error = sqlite3_open_v2(c->config->path, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (!error && set_up(c, q) == 0) {
    c->wal = (struct sqlite_wal){0};
    sqlite_user_version(c->db); // SQLite makes the log when the file is first read
    sqlite_wal_note(&c->wal, c->db);
    return 0;
  }
  if (error) buf_printf(&q->message, "'%s': ", c->config->path), sqlite_fail_by(c->db, q, error);
  close_file(c);
  return -1;
}

static int check_room(const struct sqlite_connection *c, struct sqlite_question *q) {
  if (q->rows.len > c->config->bytes_max) {
    buf_printf(&q->message, "more than %zu bytes of rows (max_bytes); db:rows has them one by one",
               c->config->bytes_max);
    return sqlite_fail(q, "too large", "");
  }
  if (q->kind == QUESTION_QUERY && q->row_count > c->config->rows_max) {
    buf_printf(&q->message, "more than %zu rows (max_rows); db:rows has them one by one",
               c->config->rows_max);
    return sqlite_fail(q, "too large", "");
  }
  return 0;
}

static bool is_page_full(const struct sqlite_question *q) {
  return q->kind != QUESTION_QUERY && (q->row_count >= PAGE_ROWS || q->rows.len >= PAGE_BYTES);
}

// Steps to the end, or to that of the page.
static int step_all(struct sqlite_connection *c, struct sqlite_question *q, struct sqlite_statement *s) {
  bool wants_rows = q->kind != QUESTION_EXEC;
  while (!(wants_rows && is_page_full(q))) {
    if (has_stopped(c)) return sqlite_fail(q, "stopped", "interrupted");
    int error = sqlite3_step(s->stmt);
    if (error == SQLITE_DONE) return 0;
    if (error != SQLITE_ROW) return sqlite_fail_by(c->db, q, error);
    if (!wants_rows) continue;
    if (!q->column_count) sqlite_statement_add_columns(s, q);
    sqlite_statement_add_row(s, q);
    if (check_room(c, q) < 0) return -1;
  }
  q->has_more = true;
  return 0;
}

static struct cursor *find_cursor(struct sqlite_connection *c, uint64_t number) {
  list_each (node, &c->cursors) {
    struct cursor *cursor = container_of(node, struct cursor, link);
    if (cursor->number == number) return cursor;
  }
  return NULL;
}

static void end_cursor(struct sqlite_connection *c, uint64_t number) {
  struct cursor *cursor = find_cursor(c, number);
  if (!cursor) return;
  sqlite_statement_put_back(&c->statements, cursor->statement);
  cursor_free(c, cursor);
}

static void open_cursor(struct sqlite_connection *c, uint64_t number, struct sqlite_statement *s) {
  struct cursor *cursor = xmalloc(sizeof *cursor);
  *cursor = (struct cursor){.number = number, .statement = s};
  list_init(&cursor->link);
  list_append(&c->cursors, &cursor->link);
  c->cursor_count++;
}

static void run_more(struct sqlite_connection *c, struct sqlite_question *q) {
  struct cursor *cursor = find_cursor(c, q->cursor);
  if (!cursor) sqlite_fail(q, "closed", "the rows have been let go of");
  else if (step_all(c, q, cursor->statement) < 0 || !q->has_more) end_cursor(c, q->cursor);
}

// Several statements are EXEC's alone, without parameters.
static bool is_script(const struct sqlite_question *q) {
  return q->kind == QUESTION_EXEC && !q->parameter_count && memchr(q->sql.bytes, ';', q->sql.len);
}

static void run_statement(struct sqlite_connection *c, struct sqlite_question *q) {
  if (q->kind == QUESTION_ROWS && c->cursor_count >= CURSORS_MAX) {
    sqlite_fail(q, "busy", "too many rows are being read at a time");
    return;
  }
  struct sqlite_statement *s = sqlite_statement_take(&c->statements, c->db, q);
  if (!s) return;
  if (sqlite_statement_bind(s, c->db, q) == 0) step_all(c, q, s);
  if (!q->code && q->has_more) open_cursor(c, q->cursor, s);
  else sqlite_statement_put_back(&c->statements, s);
}

static void run_change(struct sqlite_connection *c, struct sqlite_question *q) {
  int64_t before = sqlite3_total_changes(c->db);
  if (is_script(q)) sqlite_script_run(c->db, q, q->sql.bytes);
  else run_statement(c, q);
  q->changes = sqlite3_total_changes(c->db) - before, q->last_id = sqlite3_last_insert_rowid(c->db);
}

static void answer(struct sqlite_connection *c, struct sqlite_question *q) {
  if (q->in_transaction && sqlite3_get_autocommit(c->db)) {
    sqlite_fail(q, "rolled back",
                "the transaction has ended already, by an earlier failure or a statement of its own");
    return;
  }
  switch (q->kind) {
  case QUESTION_EXEC: run_change(c, q); break;
  case QUESTION_QUERY:
  case QUESTION_ROWS: run_statement(c, q); break;
  case QUESTION_MORE: run_more(c, q); break;
  case QUESTION_ROWS_END: end_cursor(c, q->cursor); break;
  case QUESTION_BEGIN: sqlite_script_run(c->db, q, "begin immediate"); break;
  case QUESTION_COMMIT: sqlite_script_run(c->db, q, "commit"); break;
  case QUESTION_ROLLBACK:
    if (!sqlite3_get_autocommit(c->db)) sqlite_script_run(c->db, q, "rollback");
    break;
  }
  if (!q->in_transaction && q->kind < QUESTION_BEGIN && !sqlite3_get_autocommit(c->db)) {
    sqlite3_exec(c->db, "rollback", NULL, NULL, NULL);
    sqlite_misuse(q, "it has left a transaction open, which was rolled back: db:transaction is for that");
  }
}

// Closes the file once it has lost its name. Who writes is told: what was committed to it may be lost. A page
// that follows another, and a transaction, end in the file that they began in.
static int leave_lost_file(struct sqlite_connection *c, struct sqlite_question *q) {
  if (q->kind == QUESTION_MORE || !sqlite3_get_autocommit(c->db) || !sqlite_wal_has_lost_file(c->db))
    return 0;
  sqlite_wal_take_away(&c->wal, c->db);
  close_file(c);
  return c->config->is_read_only ? 0 : sqlite_fail(q, "replaced", "the file was replaced or removed");
}

void sqlite_connection_ask(struct sqlite_connection *c, struct sqlite_question *q) {
  bool is_end = q->kind == QUESTION_ROWS_END || q->kind == QUESTION_ROLLBACK;
  if (!c->db && is_end) return;
  c->question = q;
  bool is_lost = c->db && !is_end && leave_lost_file(c, q) < 0;
  if (!is_lost && (c->db || open_file(c, q) == 0)) answer(c, q);
  c->question = NULL;
}
