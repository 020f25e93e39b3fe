// SPDX-License-Identifier: MIT
// Values are texts, as the server writes them; what they mean is told by their columns' types. A value of a
// row that is larger than a page makes one of its own.
#include "client/pg_answer.h"
#include <stdlib.h>

void pg_question_deinit(struct pg_question *q) {
  buf_deinit(&q->sql);
  buf_deinit(&q->parameters);
}

void pg_answer_deinit(struct pg_answer *a) {
  buf_deinit(&a->columns);
  buf_deinit(&a->rows);
  buf_deinit(&a->message);
}

void pg_answer_reset(struct pg_answer *a) {
  buf_reset(&a->columns, 4096);
  buf_reset(&a->rows, 65536);
  buf_reset(&a->message, 0);
  a->column_count = a->row_count = 0, a->changes = 0;
  a->is_full = a->is_over = a->has_failed = a->is_lost = false;
  a->tag[0] = 0;
  memset(a->sqlstate, 0, sizeof a->sqlstate);
}

void pg_put_message(struct buf *b, const char *text) {
  struct span s = span_of(text ? text : "");
  while (s.len && (s.bytes[s.len - 1] == '\n' || s.bytes[s.len - 1] == ' ')) s.len--;
  buf_append_span(b, s);
}

void pg_answer_fail(struct pg_answer *a, const char *message) {
  if (a->has_failed) return;
  a->has_failed = true;
  pg_put_message(&a->message, message);
}

static void add_columns(struct pg_answer *a, const PGresult *r) {
  a->column_count = (size_t)PQnfields(r);
  for (int i = 0; i < (int)a->column_count; i++) {
    struct value name = {.type = VALUE_TEXT, .text = span_of(PQfname(r, i))};
    struct value type = {.type = VALUE_INTEGER, .integer = PQftype(r, i)};
    values_put(&a->columns, &name);
    values_put(&a->columns, &type);
  }
}

static void add_row(struct pg_answer *a, const PGresult *r) {
  for (int i = 0; i < (int)a->column_count; i++) {
    struct value v = {.type = PQgetisnull(r, 0, i) ? VALUE_NULL : VALUE_TEXT};
    if (v.type == VALUE_TEXT) v.text = (struct span){PQgetvalue(r, 0, i), (size_t)PQgetlength(r, 0, i)};
    values_put(&a->rows, &v);
  }
  a->row_count++;
  a->is_full = a->row_count >= a->rows_max || a->rows.len >= a->bytes_max;
}

// "INSERT 0 3": the word, and the number behind it.
static void add_tag(struct pg_answer *a, PGresult *r) {
  const char *tag = PQcmdStatus(r), *changes = PQcmdTuples(r);
  size_t len = MIN(strcspn(tag, " "), sizeof a->tag - 1);
  memcpy(a->tag, tag, len);
  a->tag[len] = 0;
  if (*changes) a->changes = atoll(changes);
}

static void add_error(struct pg_answer *a, const PGresult *r) {
  const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
  if (a->has_failed) return;
  if (state) memcpy(a->sqlstate, state, MIN(strlen(state), sizeof a->sqlstate - 1));
  pg_answer_fail(a, primary ? primary : PQresultErrorMessage(r));
  if (detail) buf_append(&a->message, ": ", 2), pg_put_message(&a->message, detail);
}

bool pg_answer_add(struct pg_answer *a, const PGresult *r) {
  switch (PQresultStatus(r)) {
  case PGRES_SINGLE_TUPLE:
    if (!a->column_count) add_columns(a, r);
    add_row(a, r);
    return !a->is_full;
  case PGRES_TUPLES_OK:
    if (!a->column_count) add_columns(a, r);
    add_tag(a, (PGresult *)(uintptr_t)r);
    return true;
  case PGRES_COMMAND_OK: add_tag(a, (PGresult *)(uintptr_t)r); return true;
  case PGRES_COPY_IN:
  case PGRES_COPY_OUT:
  case PGRES_COPY_BOTH: pg_answer_fail(a, "COPY is not to be had"); return true;
  case PGRES_EMPTY_QUERY: pg_answer_fail(a, "expected a statement, got none"); return true;
  default: add_error(a, r); return true;
  }
}
