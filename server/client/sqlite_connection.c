// SPDX-License-Identifier: MIT
// A file is opened when something is first asked of it, and again with the next question where that failed.
// Prepared statements are kept, the one used last first. A transaction that a statement has begun by itself
// would be everybody's, so it is rolled back. What runs is stopped by a flag that SQLite asks for now and
// then.
#include "client/sqlite_connection.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>
#include "base/list.h"
#include "base/mem.h"
#include "store/sqlite_wal.h"

enum { PAGE_ROWS = 100, PAGE_BYTES = 64 << 10, CURSORS_MAX = 64, PROGRESS_STEPS = 2000, BUSY_MS = 5 };

struct statement {
  struct list link; // in the connection's idle ones
  sqlite3_stmt *stmt;
  struct buf sql;
};

struct cursor {
  struct list link;
  uint64_t number;
  struct statement *statement;
};

struct sqlite_connection {
  const struct sqlite_config *config;
  sqlite3 *db; // NULL: not open
  struct sqlite_wal wal;
  struct list idle; // statements
  size_t idle_count;
  struct list cursors;
  size_t cursor_count;
  struct sqlite_question *question; // that is being answered
  double waited;                    // seconds for another process
};

void sqlite_question_deinit(struct sqlite_question *q) {
  buf_deinit(&q->sql);
  buf_deinit(&q->parameters);
  buf_deinit(&q->message);
  buf_deinit(&q->columns);
  buf_deinit(&q->rows);
}

struct sqlite_connection *sqlite_connection_new(const struct sqlite_config *config) {
  struct sqlite_connection *c = xcalloc(1, sizeof *c);
  c->config = config;
  list_init(&c->idle);
  list_init(&c->cursors);
  return c;
}

static void statement_free(struct statement *s) {
  sqlite3_finalize(s->stmt);
  buf_deinit(&s->sql);
  free(s);
}

static void cursor_free(struct sqlite_connection *c, struct cursor *cursor) {
  list_remove(&cursor->link);
  c->cursor_count--;
  free(cursor);
}

static void close_file(struct sqlite_connection *c) {
  list_each (node, &c->cursors) {
    struct cursor *cursor = container_of(node, struct cursor, link);
    statement_free(cursor->statement);
    cursor_free(c, cursor);
  }
  for (struct list *node; (node = list_shift(&c->idle));)
    statement_free(container_of(node, struct statement, link));
  c->idle_count = 0;
  sqlite3_close(c->db);
  c->db = NULL;
}

void sqlite_connection_free(struct sqlite_connection *c) {
  close_file(c);
  free(c);
}

const char *sqlite_library_version(void) { return sqlite3_libversion(); }

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

static int fail(struct sqlite_question *q, const char *code, const char *message) {
  if (q->code) return -1;
  q->code = code;
  buf_append(&q->message, message, strlen(message));
  return -1;
}

static int misuse(struct sqlite_question *q, const char *message) {
  q->is_misuse = true;
  return fail(q, "sql", message);
}

static int fail_by(struct sqlite_connection *c, struct sqlite_question *q, int error) {
  return fail(q, code_of(error), c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(error));
}

static int has_stopped(void *owner) {
  const struct sqlite_connection *c = owner;
  return c->question && atomic_load_explicit(&c->question->stops, memory_order_relaxed);
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

static bool is_blank(const char *sql) {
  while (*sql == ' ' || *sql == '\t' || *sql == '\n' || *sql == '\r' || *sql == ';') sql++;
  return !*sql;
}

// All statements of a text that has no parameters.
static int run_script(struct sqlite_connection *c, struct sqlite_question *q, const char *sql) {
  while (!is_blank(sql)) {
    sqlite3_stmt *stmt = NULL;
    if (has_stopped(c)) return fail(q, "stopped", "interrupted");
    int error = sqlite3_prepare_v2(c->db, sql, -1, &stmt, &sql);
    if (!error && sqlite3_bind_parameter_count(stmt)) {
      sqlite3_finalize(stmt);
      return misuse(q, "of several statements none has parameters: one call for each");
    }
    while (!error && stmt && (error = sqlite3_step(stmt)) == SQLITE_ROW) error = 0;
    if (error && error != SQLITE_DONE) fail_by(c, q, error);
    sqlite3_finalize(stmt);
    if (q->code) return -1;
  }
  return 0;
}

static int64_t user_version(struct sqlite_connection *c) {
  sqlite3_stmt *stmt = NULL;
  int64_t version = -1;
  if (!sqlite3_prepare_v2(c->db, "pragma user_version", -1, &stmt, NULL) && sqlite3_step(stmt) == SQLITE_ROW)
    version = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return version;
}

// Runs the migration `number`, which is a text of statements, unless another has come before us.
static int migrate(struct sqlite_connection *c, struct sqlite_question *q, int64_t number, struct span sql) {
  struct buf all = {0};
  if (run_script(c, q, "begin immediate") < 0) return -1;
  if (user_version(c) < number) {
    buf_append_span(&all, sql);
    buf_printf(&all, "\n;pragma user_version = %lld", (long long)number);
    buf_append_byte(&all, 0);
    run_script(c, q, all.bytes);
    buf_deinit(&all);
  }
  if (!q->code && sqlite3_get_autocommit(c->db)) misuse(q, "a migration ends no transaction: it is in one");
  if (!q->code) run_script(c, q, "commit");
  if (!q->code) return 0;
  if (!sqlite3_get_autocommit(c->db)) sqlite3_exec(c->db, "rollback", NULL, NULL, NULL);
  buf_printf(&all, "migration %lld: ", (long long)number);
  buf_append_span(&all, buf_span(&q->message));
  buf_deinit(&q->message);
  q->message = all;
  return -1;
}

static int bring_up_to_date(struct sqlite_connection *c, struct sqlite_question *q) {
  struct span rest = buf_span(&c->config->migrations);
  struct value text;
  int64_t version = user_version(c), number = 0;
  if (version < 0) return fail_by(c, q, sqlite3_extended_errcode(c->db));
  if (version > (int64_t)c->config->migration_count) {
    buf_printf(&q->message, "the file is at version %lld, of %zu migrations that the script has",
               (long long)version, c->config->migration_count);
    return fail(q, "newer", "");
  }
  while (values_next(&rest, &text))
    if (++number > version && migrate(c, q, number, text.text) < 0) return -1;
  return 0;
}

static int set_up(struct sqlite_connection *c, struct sqlite_question *q) {
  sqlite3_extended_result_codes(c->db, 1);
  sqlite3_busy_handler(c->db, on_busy, c);
  sqlite3_progress_handler(c->db, PROGRESS_STEPS, has_stopped, c);
  sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, (int)MIN(c->config->bytes_max, 1000000000));
  if (run_script(c, q, "pragma trusted_schema = off; pragma foreign_keys = on; pragma secure_delete = off") <
      0)
    return -1;
  if (c->config->journal) {
    char *sql = xasprintf("pragma journal_mode = %s", c->config->journal);
    run_script(c, q, sql);
    free(sql);
    if (q->code) return -1;
  }
  return c->config->migration_count ? bring_up_to_date(c, q) : 0;
}

static int open_file(struct sqlite_connection *c, struct sqlite_question *q) {
  int flags = c->config->is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  int error = sqlite3_open_v2(c->config->path, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (!error && set_up(c, q) == 0) {
    c->wal = (struct sqlite_wal){0};
    user_version(c); // SQLite makes the log when the file is first read
    sqlite_wal_note(&c->wal, c->db);
    return 0;
  }
  if (error) buf_printf(&q->message, "'%s': ", c->config->path), fail_by(c, q, error);
  close_file(c);
  return -1;
}

static struct statement *find_idle(struct sqlite_connection *c, struct span sql) {
  list_each (node, &c->idle) {
    struct statement *s = container_of(node, struct statement, link);
    if (!span_equal(buf_span(&s->sql), sql)) continue;
    list_remove(&s->link);
    c->idle_count--;
    return s;
  }
  return NULL;
}

// Whether there is more than blanks and comments.
static bool has_statement(struct sqlite_connection *c, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  if (is_blank(sql)) return false;
  bool has = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) || stmt;
  sqlite3_finalize(stmt);
  return has;
}

// The statement that the question is about, for it alone. NULL: it has failed.
static struct statement *take_statement(struct sqlite_connection *c, struct sqlite_question *q) {
  const char *rest = NULL;
  sqlite3_stmt *stmt = NULL;
  struct statement *s = find_idle(c, buf_span(&q->sql));
  if (s) return s;
  int error =
      sqlite3_prepare_v3(c->db, q->sql.bytes, (int)q->sql.len, SQLITE_PREPARE_PERSISTENT, &stmt, &rest);
  if (error) return fail_by(c, q, error), NULL;
  if (!stmt || has_statement(c, rest)) {
    sqlite3_finalize(stmt);
    misuse(q, stmt ? "expected one statement, got more" : "expected a statement, got none");
    return NULL;
  }
  s = xcalloc(1, sizeof *s);
  s->stmt = stmt;
  list_init(&s->link);
  buf_append_span(&s->sql, buf_span(&q->sql));
  return s;
}

// Keeps it for the next time, first in the list; the last goes where there are too many.
static void put_back(struct sqlite_connection *c, struct statement *s) {
  sqlite3_reset(s->stmt);
  sqlite3_clear_bindings(s->stmt);
  s->link.prev = &c->idle, s->link.next = c->idle.next;
  c->idle.next->prev = &s->link, c->idle.next = &s->link;
  if (++c->idle_count <= c->config->statements) return;
  struct statement *last = container_of(c->idle.prev, struct statement, link);
  list_remove(&last->link);
  c->idle_count--;
  statement_free(last);
}

// Rows that come page by page outlive the question that has the text.
static int bind_one(const struct sqlite_question *q, sqlite3_stmt *stmt, int index, const struct value *v) {
  sqlite3_destructor_type how = q->kind == QUESTION_ROWS ? SQLITE_TRANSIENT : SQLITE_STATIC;
  switch (v->type) {
  case VALUE_INTEGER: return sqlite3_bind_int64(stmt, index, v->integer);
  case VALUE_FLOAT: return sqlite3_bind_double(stmt, index, v->number);
  case VALUE_TEXT: return sqlite3_bind_text64(stmt, index, v->text.bytes, v->text.len, how, SQLITE_UTF8);
  case VALUE_BLOB: return sqlite3_bind_blob64(stmt, index, v->text.bytes, v->text.len, how);
  default: return sqlite3_bind_null(stmt, index);
  }
}

// Of ":name", "@name" or "$name"; 0: there is none.
static int index_of(sqlite3_stmt *stmt, struct span name) {
  int index = 0;
  for (const char *sigil = ":@$"; *sigil && !index; sigil++) {
    char *full = xasprintf("%c" SPAN_FMT, *sigil, SPAN_ARG(name));
    index = sqlite3_bind_parameter_index(stmt, full);
    free(full);
  }
  return index;
}

static int bind_by_name(struct sqlite_connection *c, struct sqlite_question *q, sqlite3_stmt *stmt) {
  struct span rest = buf_span(&q->parameters);
  struct value name, v;
  while (values_next(&rest, &name) && values_next(&rest, &v)) {
    int index = index_of(stmt, name.text);
    if (!index) {
      buf_printf(&q->message, "the statement has no parameter ':" SPAN_FMT "'", SPAN_ARG(name.text));
      return misuse(q, "");
    }
    int error = bind_one(q, stmt, index, &v);
    if (error) return fail_by(c, q, error);
  }
  return 0;
}

static int bind_all(struct sqlite_connection *c, struct sqlite_question *q, sqlite3_stmt *stmt) {
  struct span rest = buf_span(&q->parameters);
  struct value v;
  int count = sqlite3_bind_parameter_count(stmt);
  if (q->is_named) return bind_by_name(c, q, stmt);
  if ((size_t)count != q->parameter_count) {
    buf_printf(&q->message, "the statement has %d parameters, got %zu", count, q->parameter_count);
    return misuse(q, "");
  }
  for (int i = 1; values_next(&rest, &v); i++) {
    int error = bind_one(q, stmt, i, &v);
    if (error) return fail_by(c, q, error);
  }
  return 0;
}

static void add_columns(struct sqlite_question *q, sqlite3_stmt *stmt) {
  q->column_count = (size_t)sqlite3_column_count(stmt);
  for (int i = 0; i < (int)q->column_count; i++) {
    struct value name = {.type = VALUE_TEXT, .text = span_of(sqlite3_column_name(stmt, i))};
    values_put(&q->columns, &name);
  }
}

static struct value column_value(sqlite3_stmt *stmt, int i) {
  switch (sqlite3_column_type(stmt, i)) {
  case SQLITE_INTEGER: return (struct value){.type = VALUE_INTEGER, .integer = sqlite3_column_int64(stmt, i)};
  case SQLITE_FLOAT: return (struct value){.type = VALUE_FLOAT, .number = sqlite3_column_double(stmt, i)};
  case SQLITE_NULL: return (struct value){.type = VALUE_NULL};
  default: break;
  }
  struct value v = {.type = VALUE_TEXT};
  if (sqlite3_column_type(stmt, i) == SQLITE_BLOB) v.text.bytes = sqlite3_column_blob(stmt, i);
  else v.text.bytes = (const char *)sqlite3_column_text(stmt, i);
  v.text.len = (size_t)sqlite3_column_bytes(stmt, i);
  return v;
}

static int add_row(struct sqlite_connection *c, struct sqlite_question *q, sqlite3_stmt *stmt) {
  for (int i = 0; i < (int)q->column_count; i++) {
    struct value v = column_value(stmt, i);
    values_put(&q->rows, &v);
  }
  q->row_count++;
  if (q->rows.len > c->config->bytes_max) {
    buf_printf(&q->message, "more than %zu bytes of rows (max_bytes); db:rows has them one by one",
               c->config->bytes_max);
    return fail(q, "too large", "");
  }
  if (q->kind == QUESTION_QUERY && q->row_count > c->config->rows_max) {
    buf_printf(&q->message, "more than %zu rows (max_rows); db:rows has them one by one",
               c->config->rows_max);
    return fail(q, "too large", "");
  }
  return 0;
}

static bool is_page_full(const struct sqlite_question *q) {
  return q->kind != QUESTION_QUERY && (q->row_count >= PAGE_ROWS || q->rows.len >= PAGE_BYTES);
}

// Steps to the end, or to that of the page.
static int step_all(struct sqlite_connection *c, struct sqlite_question *q, sqlite3_stmt *stmt) {
  bool wants_rows = q->kind != QUESTION_EXEC;
  while (!(wants_rows && is_page_full(q))) {
    if (has_stopped(c)) return fail(q, "stopped", "interrupted");
    int error = sqlite3_step(stmt);
    if (error == SQLITE_DONE) return 0;
    if (error != SQLITE_ROW) return fail_by(c, q, error);
    if (wants_rows && !q->column_count) add_columns(q, stmt); // a step may have prepared it anew
    if (wants_rows && add_row(c, q, stmt) < 0) return -1;
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
  put_back(c, cursor->statement);
  cursor_free(c, cursor);
}

static void open_cursor(struct sqlite_connection *c, uint64_t number, struct statement *s) {
  struct cursor *cursor = xmalloc(sizeof *cursor);
  *cursor = (struct cursor){.number = number, .statement = s};
  list_init(&cursor->link);
  list_append(&c->cursors, &cursor->link);
  c->cursor_count++;
}

static void run_more(struct sqlite_connection *c, struct sqlite_question *q) {
  struct cursor *cursor = find_cursor(c, q->cursor);
  if (!cursor) fail(q, "closed", "the rows have been let go of");
  else if (step_all(c, q, cursor->statement->stmt) < 0 || !q->has_more) end_cursor(c, q->cursor);
}

// Several statements are EXEC's alone, without parameters.
static bool is_script(const struct sqlite_question *q) {
  return q->kind == QUESTION_EXEC && !q->parameter_count && memchr(q->sql.bytes, ';', q->sql.len);
}

static void run_statement(struct sqlite_connection *c, struct sqlite_question *q) {
  if (q->kind == QUESTION_ROWS && c->cursor_count >= CURSORS_MAX) {
    fail(q, "busy", "too many rows are being read at a time");
    return;
  }
  struct statement *s = take_statement(c, q);
  if (!s) return;
  if (bind_all(c, q, s->stmt) == 0) step_all(c, q, s->stmt);
  if (!q->code && q->has_more) open_cursor(c, q->cursor, s);
  else put_back(c, s);
}

static void run_change(struct sqlite_connection *c, struct sqlite_question *q) {
  int64_t before = sqlite3_total_changes(c->db);
  if (is_script(q)) run_script(c, q, q->sql.bytes);
  else run_statement(c, q);
  q->changes = sqlite3_total_changes(c->db) - before, q->last_id = sqlite3_last_insert_rowid(c->db);
}

static void answer(struct sqlite_connection *c, struct sqlite_question *q) {
  if (q->in_transaction && sqlite3_get_autocommit(c->db)) {
    fail(q, "rolled back",
         "the transaction has ended already, by an earlier failure or a statement of its own");
    return;
  }
  switch (q->kind) {
  case QUESTION_EXEC: run_change(c, q); break;
  case QUESTION_QUERY:
  case QUESTION_ROWS: run_statement(c, q); break;
  case QUESTION_MORE: run_more(c, q); break;
  case QUESTION_ROWS_END: end_cursor(c, q->cursor); break;
  case QUESTION_BEGIN: run_script(c, q, "begin immediate"); break;
  case QUESTION_COMMIT: run_script(c, q, "commit"); break;
  case QUESTION_ROLLBACK:
    if (!sqlite3_get_autocommit(c->db)) run_script(c, q, "rollback");
    break;
  }
  if (!q->in_transaction && q->kind < QUESTION_BEGIN && !sqlite3_get_autocommit(c->db)) {
    sqlite3_exec(c->db, "rollback", NULL, NULL, NULL);
    misuse(q, "it has left a transaction open, which was rolled back: db:transaction is for that");
  }
}

// Closes the file once it has lost its name. Who writes is told: what was committed to it may be lost. A page
// that follows another, and a transaction, end in the file that they began in.
static int leave_lost_file(struct sqlite_connection *c, struct sqlite_question *q) {
  if (q->kind == QUESTION_MORE || !sqlite3_get_autocommit(c->db) || !sqlite_wal_has_lost_file(c->db))
    return 0;
  sqlite_wal_take_away(&c->wal, c->db);
  close_file(c);
  return c->config->is_read_only ? 0 : fail(q, "replaced", "the file was replaced or removed");
}

void sqlite_connection_ask(struct sqlite_connection *c, struct sqlite_question *q) {
  bool is_end = q->kind == QUESTION_ROWS_END || q->kind == QUESTION_ROLLBACK;
  if (!c->db && is_end) return;
  c->question = is_end ? NULL : q;
  bool is_lost = c->db && !is_end && leave_lost_file(c, q) < 0;
  if (!is_lost && (c->db || open_file(c, q) == 0)) answer(c, q);
  c->question = NULL;
}
