// SPDX-License-Identifier: MIT
// libpq may close its socket, or open another of the same number, whenever it is called: so the watch is
// stopped before, and started behind it with whatever the socket is then. Rows come one by one, and no more
// is read from the socket than the answer has room for: the server waits meanwhile.
#include "client/pg_connection.h"
#include <libpq-fe.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/pg_answer.h"
#include "client/pg_cancel.h"
#include "serve/service.h"

enum { STATEMENTS_MAX = 100, PARAMETERS_MAX = 64, NOTICES_MAX_BYTES = 4 << 20 };
static const double CLEAN_SECONDS = 5;

struct pg_statement {
  struct list link;
  struct buf sql;
  uint64_t number;
};

static void on_ready(struct watch *w, unsigned events);

static void tell(struct pg_connection *c) { c->on_news(c); }

// What libpq would write to stderr.
static void on_notice(void *owner, const PGresult *r) {
  const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  (void)owner;
  if (text && log_is_on(LOG_DEBUG)) log_message(LOG_DEBUG, "postgres: %s", text);
}

static void close_conn(struct pg_connection *c) {
  watch_stop(&c->watch);
  if (c->cancel) pg_cancel_leave(c->cancel), c->cancel = NULL;
  if (c->conn) PQfinish(c->conn);
  c->conn = NULL;
}

// One line of what libpq says in several; the first reason stays.
static void set_why(struct pg_connection *c, const char *text) {
  size_t n = 0;
  if (*c->why) return;
  for (; *text && n < sizeof c->why - 1; text++)
    if ((unsigned char)*text >= ' ') c->why[n++] = *text;
    else if (n && c->why[n - 1] != ' ') c->why[n++] = ' ';
  while (n && c->why[n - 1] == ' ') n--;
  c->why[n] = 0;
}

static void lose(struct pg_connection *c, const char *why) {
  if (c->state == PG_LOST) return;
  set_why(c, why && *why ? why : "the connection was lost");
  if (c->answer) {
    c->answer->is_lost = !c->answer->has_failed;
    pg_answer_fail(c->answer, c->why);
    c->answer->is_over = true;
  }
  lookup_leave(&c->lookup);
  loop_disarm(c->service->loop, &c->timer);
  close_conn(c);
  c->state = PG_LOST, c->question = NULL, c->answer = NULL;
  tell(c);
}

// Only libpq knows what is lost.
static bool check_conn(struct pg_connection *c) {
  if (c->conn && PQstatus(c->conn) != CONNECTION_BAD) return true;
  lose(c, c->conn ? PQerrorMessage(c->conn) : NULL);
  return false;
}

static void watch_for(struct pg_connection *c, unsigned events) {
  watch_stop(&c->watch);
  if (c->conn && events) watch_start(&c->watch, c->service->loop, PQsocket(c->conn), events);
}

static void forget_statements(struct pg_connection *c) {
  for (struct list *node; (node = list_shift(&c->statements));) {
    struct pg_statement *s = container_of(node, struct pg_statement, link);
    buf_deinit(&s->sql);
    free(s);
  }
  c->statement_count = 0;
}

// Connecting.

static void become_ready(struct pg_connection *c) {
  c->state = PG_READY, c->answer = NULL, c->question = NULL;
  loop_disarm(c->service->loop, &c->timer);
  watch_for(c, WATCH_READ);
  tell(c);
}

static void poll_connect(struct pg_connection *c) {
  watch_stop(&c->watch);
  switch (PQconnectPoll(c->conn)) {
  case PGRES_POLLING_READING: watch_for(c, WATCH_READ); break;
  case PGRES_POLLING_WRITING: watch_for(c, WATCH_WRITE); break;
  case PGRES_POLLING_OK:
    PQsetnonblocking(c->conn, 1);
    become_ready(c);
    break;
  default: {
    const char *state = PQstatus(c->conn) == CONNECTION_BAD ? PQerrorMessage(c->conn) : "";
    lose(c, state);
  }
  }
}

// The list of addresses, and of as many names of the host, which libpq checks certificates for.
static void join_addresses(const struct pg_connection *c, const struct resolved *found, struct buf *hosts,
                           struct buf *addresses) {
  char text[ADDRESS_TEXT_MAX];
  for (unsigned i = 0; i < found->count; i++) {
    size_t len = address_text(&found->addresses[i], text);
    buf_printf(hosts, "%s%s", i ? "," : "", c->config->host);
    buf_printf(addresses, "%s%.*s", i ? "," : "", (int)len, text);
  }
  buf_append_byte(hosts, 0);
  buf_append_byte(addresses, 0);
}

// `addresses`: NULL for a folder of sockets.
static void start_connect(struct pg_connection *c, const char *host, const char *addresses) {
  const char *keywords[PARAMETERS_MAX + 3], *values[PARAMETERS_MAX + 3];
  struct span rest = buf_span(&c->config->parameters);
  struct value keyword, value;
  size_t n = 0;
  while (n < PARAMETERS_MAX && values_next(&rest, &keyword) && values_next(&rest, &value))
    keywords[n] = keyword.text.bytes, values[n++] = value.text.bytes;
  keywords[n] = "host", values[n++] = host;
  if (addresses) keywords[n] = "hostaddr", values[n++] = addresses;
  keywords[n] = NULL, values[n] = NULL;
  c->conn = PQconnectStartParams(keywords, values, 0);
  if (!check_conn(c)) return;
  PQsetNoticeReceiver(c->conn, on_notice, NULL);
  watch_for(c, WATCH_WRITE);
}

static void on_name(struct lookup *l, const struct resolved *found) {
  struct pg_connection *c = container_of(l, struct pg_connection, lookup);
  struct buf hosts = {0}, addresses = {0};
  if (!found->count) {
    snprintf(c->why, sizeof c->why, "%s: %s", c->config->host, found->why);
    lose(c, NULL);
    return;
  }
  join_addresses(c, found, &hosts, &addresses);
  start_connect(c, hosts.bytes, addresses.bytes);
  buf_deinit(&hosts);
  buf_deinit(&addresses);
}

// In a turn of its own: whoever has begun it may not be told before that has returned.
static void begin_connect(struct pg_connection *c) {
  const char *host = c->config->host;
  struct resolved one = {.count = 1};
  const struct resolved *found = &one;
  loop_arm(c->service->loop, &c->timer, c->service->loop->now + c->config->connect);
  c->is_polling = true;
  if (*host == '/') {
    start_connect(c, host, NULL);
    return;
  }
  if (!address_parse(span_of(host), &one.addresses[0])) found = resolver_find(c->resolver, host, &c->lookup);
  if (found) on_name(&c->lookup, found);
}

static void on_timer(struct timer *t) {
  struct pg_connection *c = container_of(t, struct pg_connection, timer);
  if (c->state == PG_CONNECTING && !c->is_polling) begin_connect(c);
  else if (c->state == PG_CONNECTING) lose(c, "there was no connection in time");
  else lose(c, "it could not be cleaned up in time");
}

struct pg_connection *pg_connection_new(struct service *s, const struct pg_config *config,
                                        struct resolver *resolver, void (*on_news)(struct pg_connection *c)) {
  struct pg_connection *c = xcalloc(1, sizeof *c);
  c->service = s, c->config = config, c->resolver = resolver, c->on_news = on_news;
  c->state = PG_CONNECTING;
  c->timer.on_fire = on_timer, c->lookup.on_found = on_name, c->watch.on_ready = on_ready;
  list_init(&c->link);
  list_init(&c->lookup.link);
  list_init(&c->notices);
  list_init(&c->statements);
  counter_add(&s->counters.databases, 1);
  loop_arm(s->loop, &c->timer, s->loop->now);
  return c;
}

void pg_connection_free(struct pg_connection *c) {
  lookup_leave(&c->lookup);
  loop_disarm(c->service->loop, &c->timer);
  close_conn(c);
  forget_statements(c);
  while (!list_empty(&c->notices)) pg_connection_drop_notice(c);
  list_remove(&c->link);
  counter_add(&c->service->counters.databases, -1);
  free(c);
}

// Notifications.

struct pg_notice *pg_connection_peek_notice(struct pg_connection *c) {
  return list_empty(&c->notices) ? NULL : container_of(c->notices.next, struct pg_notice, link);
}

void pg_connection_drop_notice(struct pg_connection *c) {
  struct pg_notice *n = pg_connection_peek_notice(c);
  list_remove(&n->link);
  c->notice_bytes -= sizeof *n + n->channel.len + n->payload.len;
  buf_deinit(&n->channel);
  buf_deinit(&n->payload);
  free(n);
}

static void keep_notice(struct pg_connection *c, const PGnotify *from) {
  c->has_lost_notices |= c->notice_bytes > NOTICES_MAX_BYTES;
  if (c->has_lost_notices) return;
  struct pg_notice *n = xcalloc(1, sizeof *n);
  list_init(&n->link);
  buf_append_span(&n->channel, span_of(from->relname));
  buf_append_span(&n->payload, span_of(from->extra));
  c->notice_bytes += sizeof *n + n->channel.len + n->payload.len;
  list_append(&c->notices, &n->link);
}

static bool take_notices(struct pg_connection *c) {
  bool any = false;
  for (PGnotify *n; (n = PQnotifies(c->conn)); any = true) {
    if (c->keeps_notices) keep_notice(c, n);
    PQfreemem(n);
  }
  return any && c->keeps_notices;
}

// Asking.

static struct pg_statement *find_statement(struct pg_connection *c, struct span sql) {
  list_each (node, &c->statements) {
    struct pg_statement *s = container_of(node, struct pg_statement, link);
    if (span_equal(buf_span(&s->sql), sql)) return s;
  }
  return NULL;
}

static struct pg_statement *add_statement(struct pg_connection *c, struct span sql) {
  struct pg_statement *s = xcalloc(1, sizeof *s);
  list_init(&s->link);
  buf_append_span(&s->sql, sql);
  s->number = ++c->statement_number;
  list_append(&c->statements, &s->link);
  c->statement_count++;
  return s;
}

static void drop_newest_statement(struct pg_connection *c) {
  struct pg_statement *s = container_of(c->statements.prev, struct pg_statement, link);
  list_remove(&s->link);
  c->statement_count--, c->is_preparing = false;
  buf_deinit(&s->sql);
  free(s);
}

// 1 as PQsendQuery has it. `name`: of a prepared statement, or NULL.
static int send_question(struct pg_connection *c, const char *name) {
  const struct pg_question *q = c->question;
  const char **values = xcalloc(q->parameter_count + 1, sizeof *values);
  struct span rest = buf_span(&q->parameters);
  struct value v;
  for (size_t i = 0; values_next(&rest, &v); i++) values[i] = v.type == VALUE_TEXT ? v.text.bytes : NULL;
  int n = (int)q->parameter_count;
  int ok = name ? PQsendQueryPrepared(c->conn, name, n, values, NULL, NULL, 0)
                : PQsendQueryParams(c->conn, q->sql.bytes, n, NULL, values, NULL, NULL, 0);
  free(values);
  return ok && PQsetSingleRowMode(c->conn);
}

static int send_by_name(struct pg_connection *c, const struct pg_statement *s) {
  char name[32];
  snprintf(name, sizeof name, "spate%llu", (unsigned long long)s->number);
  return send_question(c, name);
}

static int prepare(struct pg_connection *c) {
  char name[32];
  const struct pg_statement *s = add_statement(c, buf_span(&c->question->sql));
  snprintf(name, sizeof name, "spate%llu", (unsigned long long)s->number);
  c->is_preparing = true;
  return PQsendPrepare(c->conn, name, c->question->sql.bytes, 0, NULL);
}

static int send_first(struct pg_connection *c) {
  bool may_prepare = c->config->prepares && !c->question->is_plain;
  struct pg_statement *s = may_prepare ? find_statement(c, buf_span(&c->question->sql)) : NULL;
  c->is_preparing = false, c->is_by_name = s != NULL;
  if (s) return send_by_name(c, s);
  return may_prepare && c->statement_count < STATEMENTS_MAX ? prepare(c) : send_question(c, NULL);
}

static void go_on(struct pg_connection *c);

static void ask(struct pg_connection *c) {
  watch_stop(&c->watch);
  if (!send_first(c)) {
    if (c->is_preparing) drop_newest_statement(c);
    if (!check_conn(c)) return;
    pg_answer_fail(c->answer, PQerrorMessage(c->conn)); // too many parameters, or none that it can be
    c->answer->is_over = true;
    become_ready(c);
    return;
  }
  go_on(c);
}

void pg_connection_ask(struct pg_connection *c, struct pg_question *q, struct pg_answer *a) {
  c->state = PG_ASKED, c->question = q, c->answer = a;
  counter_add(&c->service->counters.database_calls_total, 1);
  ask(c);
}

// A statement whose plan has gone, or that somebody else has dropped, was not begun: it is prepared anew.
static bool is_stale(const struct pg_connection *c) {
  const struct pg_answer *a = c->answer;
  return a && c->is_by_name && a->has_failed && PQtransactionStatus(c->conn) == PQTRANS_IDLE &&
         (!strcmp(a->sqlstate, "26000") || !strcmp(a->sqlstate, "0A000"));
}

// The prepared statement is there, or is refused.
static void on_prepared(struct pg_connection *c) {
  if (c->answer->has_failed) {
    drop_newest_statement(c);
    counter_add(&c->service->counters.database_errors_total, 1);
    c->answer->is_over = true;
    become_ready(c);
    return;
  }
  c->is_preparing = false;
  if (!send_by_name(c, container_of(c->statements.prev, struct pg_statement, link))) check_conn(c);
  else go_on(c);
}

static void on_answered(struct pg_connection *c) {
  struct pg_answer *a = c->answer;
  if (c->state == PG_ASKED && c->is_preparing) {
    on_prepared(c);
    return;
  }
  if (c->state == PG_ASKED && is_stale(c)) {
    forget_statements(c);
    pg_answer_reset(a);
    ask(c);
    return;
  }
  if (a && a->has_failed) counter_add(&c->service->counters.database_errors_total, 1);
  if (a) a->is_over = true;
  if (c->state == PG_CLEANING) pg_connection_clean(c);
  else become_ready(c);
}

static bool is_copy(const PGresult *r) {
  ExecStatusType s = PQresultStatus(r);
  return s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH;
}

// Takes what has come as far as there is room for it. True: the answer is complete.
static bool take_results(struct pg_connection *c, bool *has_copy) {
  while (!(c->answer && c->answer->is_full) && !PQisBusy(c->conn)) {
    PGresult *r = PQgetResult(c->conn);
    if (!r) return true;
    if (is_copy(r)) *has_copy = true;
    if (c->answer) pg_answer_add(c->answer, r);
    PQclear(r);
    if (*has_copy) return false;
  }
  return false;
}

// Sends what is left and takes what is there, then watches for more.
static void go_on(struct pg_connection *c) {
  bool has_copy = false;
  int flushed = PQflush(c->conn);
  if (flushed < 0 || !check_conn(c)) {
    if (flushed < 0) lose(c, PQerrorMessage(c->conn));
    return;
  }
  if (take_results(c, &has_copy)) {
    on_answered(c);
    return;
  }
  if (has_copy) {
    lose(c, "COPY is not to be had");
    return;
  }
  if (!check_conn(c)) return;
  if (c->answer && c->answer->is_full) tell(c);
  else watch_for(c, WATCH_READ | (flushed ? WATCH_WRITE : 0));
}

void pg_connection_more(struct pg_connection *c) {
  if (c->state == PG_ASKED) go_on(c);
}

static void on_ready(struct watch *w, unsigned events) {
  struct pg_connection *c = container_of(w, struct pg_connection, watch);
  (void)events;
  watch_stop(w);
  if (c->state == PG_CONNECTING) {
    poll_connect(c);
    return;
  }
  if (!PQconsumeInput(c->conn)) {
    lose(c, PQerrorMessage(c->conn));
    return;
  }
  bool has_notices = take_notices(c);
  if (c->state != PG_READY) {
    if (has_notices) tell(c);
    go_on(c);
    return;
  }
  PQisBusy(c->conn); // has what is no answer be looked at
  has_notices |= take_notices(c);
  if (!check_conn(c)) return;
  watch_for(c, WATCH_READ);
  if (has_notices) tell(c);
}

// Cleaning.

static void on_cancelled(struct pg_cancel *cancel) {
  struct pg_connection *c = cancel->user;
  c->cancel = NULL;
  if (c->state == PG_CLEANING && PQtransactionStatus(c->conn) != PQTRANS_ACTIVE) pg_connection_clean(c);
}

// What runs is told to end; its results are dropped as they come.
static void cancel_question(struct pg_connection *c) {
  c->cancel = pg_cancel_start(c->service, c->conn, c, on_cancelled);
  if (c->cancel) go_on(c);
  else lose(c, "what it did could not be cancelled");
}

static void roll_back(struct pg_connection *c) {
  c->rolls_back = true;
  if (PQsendQueryParams(c->conn, "rollback", 0, NULL, NULL, NULL, NULL, 0)) go_on(c);
  else lose(c, PQerrorMessage(c->conn));
}

void pg_connection_clean(struct pg_connection *c) {
  if (c->state == PG_LOST || c->state == PG_CONNECTING) return;
  bool begins = c->state != PG_CLEANING;
  if (c->is_preparing) drop_newest_statement(c);
  c->state = PG_CLEANING, c->answer = NULL, c->question = NULL;
  watch_stop(&c->watch);
  if (begins) c->rolls_back = false;
  if (begins) loop_arm(c->service->loop, &c->timer, c->service->loop->now + CLEAN_SECONDS);
  switch (PQtransactionStatus(c->conn)) {
  case PQTRANS_ACTIVE:
    if (begins) cancel_question(c);
    else go_on(c);
    break;
  case PQTRANS_INTRANS:
  case PQTRANS_INERROR:
    if (c->cancel) break; // which could hit what follows
    if (c->rolls_back) lose(c, "a transaction could not be rolled back");
    else roll_back(c);
    break;
  case PQTRANS_IDLE:
    if (!c->cancel) become_ready(c);
    break;
  default: lose(c, PQerrorMessage(c->conn));
  }
}

const char *pg_library_version(void) {
  static char text[16];
  int v = PQlibVersion();
  snprintf(text, sizeof text, "%d.%d", v / 10000, v % 10000);
  return text;
}
