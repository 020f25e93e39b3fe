// SPDX-License-Identifier: MIT
// Prepared statements, those that nobody uses in the order of their last use. A step may prepare one anew, so
// its columns are asked for behind the first.
#include "client/sqlite_statement.h"
#include <sqlite3.h>
#include <stdlib.h>
#include "base/mem.h"
#include "client/sqlite_script.h"

void sqlite_statements_init(struct sqlite_statements *all, size_t idle_max) {
  *all = (struct sqlite_statements){.idle_max = idle_max};
  list_init(&all->idle);
}

void sqlite_statement_free(struct sqlite_statement *s) {
  sqlite3_finalize(s->stmt);
  buf_deinit(&s->sql);
  free(s);
}

void sqlite_statements_deinit(struct sqlite_statements *all) {
  for (struct list *node; (node = list_shift(&all->idle));)
    sqlite_statement_free(container_of(node, struct sqlite_statement, link));
  all->idle_count = 0;
}

static struct sqlite_statement *find_idle(struct sqlite_statements *all, struct span sql) {
  list_each (node, &all->idle) {
    struct sqlite_statement *s = container_of(node, struct sqlite_statement, link);
    if (!span_equal(buf_span(&s->sql), sql)) continue;
    list_remove(&s->link);
    all->idle_count--;
    return s;
  }
  return NULL;
}

// Whether there is more than blanks and comments.
static bool has_statement(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  if (sqlite_is_blank(sql)) return false;
  bool has = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) || stmt;
  sqlite3_finalize(stmt);
  return has;
}

struct sqlite_statement *sqlite_statement_take(struct sqlite_statements *all, sqlite3 *db,
                                               struct sqlite_question *q) {
  const char *rest = NULL;
  sqlite3_stmt *stmt = NULL;
  struct sqlite_statement *s = find_idle(all, buf_span(&q->sql));
  if (s) return s;
  int error = sqlite3_prepare_v3(db, q->sql.bytes, (int)q->sql.len, SQLITE_PREPARE_PERSISTENT, &stmt, &rest);
  if (error) return sqlite_fail_by(db, q, error), NULL;
  if (!stmt || has_statement(db, rest)) {
    sqlite3_finalize(stmt);
    sqlite_misuse(q, stmt ? "expected one statement, got more" : "expected a statement, got none");
    return NULL;
  }
  s = xcalloc(1, sizeof *s);
  s->stmt = stmt;
  list_init(&s->link);
  buf_append_span(&s->sql, buf_span(&q->sql));
  return s;
}

// First in the list; the last goes where there are too many.
void sqlite_statement_put_back(struct sqlite_statements *all, struct sqlite_statement *s) {
  sqlite3_reset(s->stmt);
  sqlite3_clear_bindings(s->stmt);
  s->link.prev = &all->idle, s->link.next = all->idle.next;
  all->idle.next->prev = &s->link, all->idle.next = &s->link;
  if (++all->idle_count <= all->idle_max) return;
  struct sqlite_statement *last = container_of(all->idle.prev, struct sqlite_statement, link);
  list_remove(&last->link);
  all->idle_count--;
  sqlite_statement_free(last);
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

static int bind_by_name(sqlite3 *db, struct sqlite_question *q, sqlite3_stmt *stmt) {
  struct span rest = buf_span(&q->parameters);
  struct value name, v;
  while (values_next(&rest, &name) && values_next(&rest, &v)) {
    int index = index_of(stmt, name.text);
    if (!index) {
      buf_printf(&q->message, "the statement has no parameter ':" SPAN_FMT "'", SPAN_ARG(name.text));
      return sqlite_misuse(q, "");
    }
    int error = bind_one(q, stmt, index, &v);
    if (error) return sqlite_fail_by(db, q, error);
  }
  return 0;
}

// A name is bound out of a table, a place by an argument: SQLite would leave what is given in the other way
// NULL, or give names the order in which they first appear.
static int check_way(struct sqlite_question *q, sqlite3_stmt *stmt) {
  for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++) {
    const char *name = sqlite3_bind_parameter_name(stmt, i); // NULL of a bare ?
    bool has_name = name && *name != '?';
    if (has_name == q->is_named) continue;
    if (!has_name) {
      buf_printf(&q->message, "the parameter %d is '%s': expected it as an argument, got a table of names", i,
                 name ? name : "?");
      return sqlite_misuse(q, "");
    }
    bool is_number = name[1] >= '0' && name[1] <= '9';
    buf_printf(&q->message, "the parameter '%s' has a name: expected a table, { %s%s%s = value }", name,
               is_number ? "[\"" : "", name + 1, is_number ? "\"]" : "");
    return sqlite_misuse(q, "; by position it is ?");
  }
  return 0;
}

int sqlite_statement_bind(struct sqlite_statement *s, sqlite3 *db, struct sqlite_question *q) {
  struct span rest = buf_span(&q->parameters);
  struct value v;
  int count = sqlite3_bind_parameter_count(s->stmt);
  if (check_way(q, s->stmt)) return -1;
  if (q->is_named) return bind_by_name(db, q, s->stmt);
  if ((size_t)count != q->parameter_count) {
    buf_printf(&q->message, "the statement has %d parameters, got %zu", count, q->parameter_count);
    return sqlite_misuse(q, "");
  }
  for (int i = 1; values_next(&rest, &v); i++) {
    int error = bind_one(q, s->stmt, i, &v);
    if (error) return sqlite_fail_by(db, q, error);
  }
  return 0;
}

void sqlite_statement_add_columns(struct sqlite_statement *s, struct sqlite_question *q) {
  q->column_count = (size_t)sqlite3_column_count(s->stmt);
  for (int i = 0; i < (int)q->column_count; i++) {
    struct value name = {.type = VALUE_TEXT, .text = span_of(sqlite3_column_name(s->stmt, i))};
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

void sqlite_statement_add_row(struct sqlite_statement *s, struct sqlite_question *q) {
  for (int i = 0; i < (int)q->column_count; i++) {
    struct value v = column_value(s->stmt, i);
    values_put(&q->rows, &v);
  }
  q->row_count++;
}
