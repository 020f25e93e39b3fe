// SPDX-License-Identifier: MIT
// One work on the pool for each file, which takes the queue's first call along; when it is home the next
// goes. So a file has one thread at most, and files do not wait for each other. The connection is the work's
// while that is away, and is closed by a last one.
#include "client/sqlite.h"
#include <stdlib.h>
#include "base/mem.h"
#include "serve/pool_gauges.h"
#include "serve/service.h"

enum { OPEN_MAX = 64, QUEUE_BYTES = 64 << 20 };

struct sqlite {
  struct work work;
  struct service *service;
  struct sqlite_config config;
  struct sqlite_limits limits;
  struct sqlite_connection *connection; // NULL once it is closed
  struct list queue;
  size_t queued, queued_bytes;
  struct sqlite_call *running; // NULL: none, or the closing
  bool is_away, is_closing;
  struct pool_gauges gauges; // a pool of one connection
};

static void tell(struct sqlite *s) {
  pool_gauges_set(&s->gauges, (struct pool_load){s->is_away, !s->is_away, s->queued, 1});
}

void sqlite_config_deinit(struct sqlite_config *config) {
  free(config->path);
  free(config->journal);
  buf_deinit(&config->migrations);
}

struct sqlite *sqlite_new(struct service *s, struct sqlite_config *config, struct sqlite_limits limits) {
  if (s->counters.databases >= OPEN_MAX) return NULL;
  struct sqlite *q = xcalloc(1, sizeof *q);
  counter_add(&s->counters.databases, 1);
  q->service = s, q->config = *config, q->limits = limits;
  *config = (struct sqlite_config){0};
  list_init(&q->queue);
  q->connection = sqlite_connection_new(&q->config);
  pool_gauges_add(s, &q->gauges, "sqlite", span_of(q->config.path));
  tell(q);
  return q;
}

static void finish(struct sqlite_call *c) {
  struct service *s = c->sqlite->service;
  c->state = SQLITE_CALL_DONE;
  if (c->question.code) counter_add(&s->counters.database_errors_total, 1);
  if (c->on_done) c->on_done(c);
  else c->free(c);
}

static void fail(struct sqlite_call *c, const char *code, const char *message) {
  c->question.code = code;
  buf_reset(&c->question.message, 0);
  buf_append(&c->question.message, message, strlen(message));
}

static size_t bytes_of(const struct sqlite_call *c) {
  return sizeof *c + c->question.sql.len + c->question.parameters.len;
}

static void unqueue(struct sqlite_call *c) {
  list_remove(&c->link);
  c->sqlite->queued--, c->sqlite->queued_bytes -= bytes_of(c);
  tell(c->sqlite);
}

static void run(struct work *w) {
  struct sqlite *s = container_of(w, struct sqlite, work);
  if (s->running) sqlite_connection_ask(s->connection, &s->running->question);
  else sqlite_connection_free(s->connection), s->connection = NULL;
}

static void sqlite_free(struct sqlite *s) {
  if (s->connection) sqlite_connection_free(s->connection);
  counter_add(&s->service->counters.databases, -1);
  pool_gauges_remove(s->service, &s->gauges);
  sqlite_config_deinit(&s->config);
  free(s);
}

static void on_home(struct job *j);

static bool send_away(struct sqlite *s, struct sqlite_call *c) {
  s->running = c;
  s->work.run = run;
  job_begin(&s->work.job, s->service->inbox, NULL, on_home);
  s->is_away = pool_submit(&s->service->pools[WORK_DATABASES], &s->work);
  if (!s->is_away) s->running = NULL;
  tell(s);
  return s->is_away;
}

// What follows; the file itself where it is closing.
static void go_on(struct sqlite *s) {
  while (!s->is_away && !list_empty(&s->queue)) {
    struct sqlite_call *c = container_of(s->queue.next, struct sqlite_call, link);
    unqueue(c);
    c->state = SQLITE_CALL_RUNNING;
    if (send_away(s, c)) return;
    fail(c, "busy", "too much waits for a thread already");
    finish(c);
  }
  if (s->is_away || !s->is_closing) return;
  if (!s->connection || !send_away(s, NULL)) sqlite_free(s);
}

// Where the pool has ended before, the work has not been done.
static void on_home(struct job *j) {
  struct sqlite *s = container_of(j, struct sqlite, work.job);
  struct sqlite_call *c = s->running;
  bool was_last = !c;
  s->running = NULL, s->is_away = false;
  if (was_last) return sqlite_free(s);
  tell(s);
  finish(c);
  go_on(s);
}

void sqlite_post(struct sqlite *s, struct sqlite_call *c) {
  c->sqlite = s, c->state = SQLITE_CALL_QUEUED;
  list_init(&c->link);
  list_append(&s->queue, &c->link);
  s->queued++, s->queued_bytes += bytes_of(c);
  tell(s);
  counter_add(&s->service->counters.database_calls_total, 1);
  go_on(s);
}

bool sqlite_submit(struct sqlite *s, struct sqlite_call *c) {
  if (s->queued >= s->limits.queue || s->queued_bytes + bytes_of(c) > QUEUE_BYTES) return false;
  sqlite_post(s, c);
  return true;
}

void sqlite_call_stop(struct sqlite_call *c) {
  if (c->state == SQLITE_CALL_RUNNING) atomic_store(&c->question.stops, true);
  if (c->state != SQLITE_CALL_QUEUED) return;
  unqueue(c);
  fail(c, "timeout", "the calls before it have taken too long");
  finish(c);
}

void sqlite_call_leave(struct sqlite_call *c) {
  c->on_done = NULL;
  if (c->state == SQLITE_CALL_RUNNING) {
    atomic_store(&c->question.stops, true);
    return;
  }
  if (c->state == SQLITE_CALL_QUEUED) unqueue(c);
  c->state = SQLITE_CALL_DONE;
  c->free(c);
}

void sqlite_close(struct sqlite *s) {
  s->is_closing = true;
  if (s->running) atomic_store(&s->running->question.stops, true);
  while (!list_empty(&s->queue)) {
    struct sqlite_call *c = container_of(s->queue.next, struct sqlite_call, link);
    unqueue(c);
    fail(c, "closed", "the database has been closed");
    finish(c);
  }
  go_on(s);
}
