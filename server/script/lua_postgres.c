// SPDX-License-Identifier: MIT
// PostgreSQL for the library: a handle is a pool, a link the lease of one of its connections, which belongs
// to the task that has used it last. What is waited for is looked at by whoever is woken; rows become tables
// when the task goes on.
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "client/pg_pool.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

static const char HANDLE[] = "spate.postgres", LINK[] = "spate.postgres_link";

enum { NOTICES_MAX = 2000 };              // texts of a list
static const double COLLECT_SECONDS = 10; // between two looks for connections that scripts have dropped

struct handle {
  struct held held;
  struct pg_config config; // until there is a pool
  struct pg_pool_limits limits;
  struct pg_pool *pool; // NULL: nobody has wanted a connection, or it is closed
  bool is_closed;
  double collect_from; // when the collector may look for connections again
  struct list links;
};

struct link {
  struct held held;
  struct list link; // in the handle's; in none once that is closed
  struct pg_lease lease;
  struct pg_question question;
  struct pg_answer answer;
  struct waitlist waiting;
  struct tie tie;
  bool is_asked, was_woken;
};

static struct handle *check_handle(lua_State *L) {
  struct held **box = luaL_checkudata(L, 1, HANDLE);
  if (!*box) raise_error(L, "the connections have been let go of already, in a finalizer");
  return container_of(*box, struct handle, held);
}

static struct link *check_link(lua_State *L) {
  struct held **box = luaL_checkudata(L, 1, LINK);
  if (!*box) raise_error(L, "the connection has been let go of already, in a finalizer");
  return container_of(*box, struct link, held);
}

static void on_news(struct pg_lease *lease) {
  waitlist_wake_all(&container_of(lease, struct link, lease)->waiting);
}

// It has no connection any more.
static void release(struct link *k) {
  pg_lease_return(&k->lease);
  list_remove(&k->link);
  list_remove(&k->tie.link);
  k->is_asked = false;
  waitlist_wake_all(&k->waiting);
}

static void cut(struct tie *tie) { release(container_of(tie, struct link, tie)); }

static void leave_link(struct held *h) { release(container_of(h, struct link, held)); }

static void drop_link(struct vm *vm, struct held *h) {
  struct link *k = container_of(h, struct link, held);
  (void)vm;
  release(k);
  pg_question_deinit(&k->question);
  pg_answer_deinit(&k->answer);
  free(k);
}

static void close_handle(struct handle *h) {
  h->is_closed = true;
  list_each (node, &h->links) release(container_of(node, struct link, link));
  if (h->pool) pg_pool_free(h->pool);
  h->pool = NULL;
}

static void leave_handle(struct held *held) { close_handle(container_of(held, struct handle, held)); }

static void drop_handle(struct vm *vm, struct held *held) {
  struct handle *h = container_of(held, struct handle, held);
  (void)vm;
  close_handle(h);
  pg_config_deinit(&h->config);
  free(h);
}

// It belongs to the running task from now on.
static void adopt(struct link *k, struct task *t) {
  list_remove(&k->tie.link);
  task_tie(t, &k->tie);
}

static int refuse(lua_State *L, const char *what, const char *message, const char *code) {
  return push_failure_code(L, lua_pushfstring(L, "%s: %s", what, message), code);
}

// What those that wait have on their stack: 1 is the handle or the link.
enum { WAIT_WHAT = 2, WAIT_DEADLINE, TAKE_EXTRA, TAKE_LINK };
enum { ASK_ROWS_MAX = 4, ASK_BYTES_MAX, ASK_PLAIN, ASK_SQL, ASK_PARAMETERS };

static bool is_late(lua_State *L) { return vm_of(L)->loop->now >= lua_tonumber(L, WAIT_DEADLINE); }

static int wait_for_link(lua_State *L, struct link *k, lua_KFunction k_function) {
  struct task *t = task_check(L, lua_tostring(L, WAIT_WHAT));
  return task_wait_in(L, t, &k->waiting, lua_tonumber(L, WAIT_DEADLINE), 0, k_function);
}

static int taken(lua_State *L, int status, lua_KContext context) {
  struct held **box = lua_touserdata(L, TAKE_LINK);
  struct link *k = container_of(*box, struct link, held);
  const char *what = lua_tostring(L, WAIT_WHAT);
  (void)status, (void)context;
  if (k->lease.state == PG_LEASE_HELD) return lua_settop(L, TAKE_LINK), 1;
  if (k->lease.state == PG_LEASE_LOST) return refuse(L, what, k->lease.why, "unavailable");
  if (k->lease.state == PG_LEASE_NONE) return refuse(L, what, "the pool has been closed", "closed");
  if (!is_late(L)) return wait_for_link(L, k, taken);
  release(k);
  return refuse(L, what, "no connection was free in time (wait)", "busy");
}

static struct link *push_link(lua_State *L, struct handle *h, struct task *t) {
  struct held **box = held_push(L, LINK, 0);
  struct link *k = xcalloc(1, sizeof *k);
  list_init(&k->link);
  list_init(&k->tie.link);
  list_init(&k->lease.link);
  k->tie.cut = cut, k->lease.on_news = on_news;
  waitlist_init(&k->waiting);
  held_put(L, box, &k->held, drop_link);
  k->held.leave = leave_link;
  list_append(&h->links, &k->link);
  adopt(k, t);
  return k;
}

// All connections may be in use; or some are rows that a loop has left before their end, and garbage.
static void collect_links(lua_State *L, struct handle *h) {
  double now = vm_of(L)->loop->now;
  if (now < h->collect_from || !pg_pool_is_full(h->pool)) return;
  h->collect_from = now + COLLECT_SECONDS;
  lua_gc(L, LUA_GCCOLLECT);
}

// handle:take(what, deadline, is_extra): a link; nil, a message and a code.
static int handle_take(lua_State *L) {
  struct handle *h = check_handle(L);
  const char *what = luaL_checkstring(L, WAIT_WHAT);
  luaL_checknumber(L, WAIT_DEADLINE);
  struct task *t = task_check(L, what);
  lua_settop(L, TAKE_EXTRA);
  if (h->is_closed) return refuse(L, what, "the pool has been closed", "closed");
  struct link *k = push_link(L, h, t);
  k->lease.is_extra = lua_toboolean(L, TAKE_EXTRA);
  if (!h->pool) h->pool = pg_pool_new(vm_of(L)->service, &h->config, h->limits);
  if (!pg_pool_take(h->pool, &k->lease))
    return refuse(L, what, "too many wait for a connection already (queue)", "busy");
  if (k->lease.state == PG_LEASE_WAITING) collect_links(L, h);
  return taken(L, LUA_OK, 0);
}

static int handle_close(lua_State *L) {
  close_handle(check_handle(L));
  return 0;
}

// Types that have values of their own in Lua, or none but their text.
static bool is_plain_type(int64_t oid) {
  static const int64_t plain[] = {16,   17,   18,   19,   20,   21,   23,   25,   26,   700, 701,
                                  1042, 1043, 1082, 1083, 1114, 1184, 1700, 2278, 2950, 705};
  for (size_t i = 0; i < countof(plain); i++)
    if (plain[i] == oid) return true;
  return false;
}

static int hex_digit(char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; }

// "\x00ff"
static void push_bytes(lua_State *L, struct span text) {
  luaL_Buffer b;
  size_t n = text.len >= 2 ? (text.len - 2) / 2 : 0;
  char *out = luaL_buffinitsize(L, &b, n + 1);
  for (size_t i = 0; i < n; i++)
    out[i] = (char)(hex_digit(text.bytes[2 + 2 * i]) << 4 | hex_digit(text.bytes[3 + 2 * i]));
  luaL_pushresultsize(&b, n);
}

// A text that the server wrote of such a type.
static void push_typed(lua_State *L, const struct value *v, int64_t oid) {
  char number[64];
  if (v->type == VALUE_NULL) {
    lua_pushnil(L);
    return;
  }
  switch (oid) {
  case 16: lua_pushboolean(L, v->text.len && v->text.bytes[0] == 't'); return;
  case 17: push_bytes(L, v->text); return;
  case 20:
  case 21:
  case 23:
  case 26:
  case 700:
  case 701:
    snprintf(number, sizeof number, SPAN_FMT, SPAN_ARG(v->text));
    if (oid >= 700) lua_pushnumber(L, strtod(number, NULL)); // "NaN" and "-Infinity" as well
    else lua_pushinteger(L, strtoll(number, NULL, 10));
    return;
  default: lua_pushlstring(L, v->text.bytes, v->text.len);
  }
}

// Pushes the names of columns, and a table of the types of those that the library has to read, or nil.
static void push_columns(lua_State *L, const struct pg_answer *a) {
  struct span rest = buf_span(&a->columns);
  struct value name, type;
  lua_createtable(L, (int)a->column_count, 0);
  lua_pushnil(L);
  for (int i = 1; values_next(&rest, &name) && values_next(&rest, &type); i++) {
    lua_pushlstring(L, name.text.bytes, name.text.len);
    if (!is_plain_type(type.integer)) {
      if (lua_isnil(L, -2)) lua_newtable(L), lua_replace(L, -3);
      lua_pushvalue(L, -1);
      lua_pushinteger(L, type.integer);
      lua_rawset(L, -4);
    }
    lua_rawseti(L, -3, i);
  }
}

// Pushes a list of tables. `names`: the index of the columns' names.
static void push_rows(lua_State *L, const struct pg_answer *a, int names) {
  struct span rest = buf_span(&a->rows);
  struct value v, name, type;
  lua_createtable(L, (int)a->row_count, 0);
  for (size_t row = 1; row <= a->row_count; row++) {
    struct span columns = buf_span(&a->columns);
    lua_createtable(L, 0, (int)a->column_count);
    for (int i = 1; values_next(&columns, &name) && values_next(&columns, &type) && values_next(&rest, &v);
         i++) {
      lua_rawgeti(L, names, i);
      push_typed(L, &v, type.integer);
      lua_rawset(L, -3);
    }
    lua_rawseti(L, -2, (lua_Integer)row);
  }
}

// A word for the classes of SQLSTATE that a script tells apart; the more particular come first.
static const char *code_of(const char *state) {
  static const char *const codes[][2] = {
      {"08P01", "sql"},      {"08", "unavailable"}, {"23", "constraint"}, {"25P02", "rolled back"},
      {"40", "conflict"},    {"25006", "readonly"}, {"28", "forbidden"},  {"42501", "forbidden"},
      {"53100", "full"},     {"53", "busy"},        {"55P03", "busy"},    {"57014", "timeout"},
      {"57P", "unavailable"}};
  for (size_t i = 0; i < countof(codes); i++)
    if (!strncmp(state, codes[i][0], strlen(codes[i][0]))) return codes[i][1];
  return "sql";
}

// nil, "what: message", code, sqlstate.
static int push_error(lua_State *L, const struct pg_answer *a) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: ", lua_tostring(L, WAIT_WHAT));
  lua_pushlstring(L, a->message.len ? a->message.bytes : "", a->message.len);
  lua_concat(L, 2);
  lua_pushstring(L, a->is_lost ? "unavailable" : code_of(a->sqlstate));
  if (*a->sqlstate) lua_pushstring(L, a->sqlstate);
  else lua_pushnil(L);
  return 4;
}

// rows, whether there are more, how many were changed, types or nil, the command.
static int push_answer(lua_State *L, struct link *k) {
  struct pg_answer *a = &k->answer;
  if (a->is_over) k->is_asked = false;
  if (a->has_failed) return push_error(L, a);
  lua_settop(L, ASK_SQL);
  push_columns(L, a);
  push_rows(L, a, ASK_SQL + 1);
  lua_pushboolean(L, !a->is_over);
  lua_pushinteger(L, a->changes);
  lua_rotate(L, ASK_SQL + 2, -1); // the types behind these
  lua_pushstring(L, a->tag);
  return 5;
}

static int answered(lua_State *L, int status, lua_KContext context) {
  struct link *k = check_link(L);
  (void)status, (void)context;
  if (k->answer.is_over || k->answer.is_full) return push_answer(L, k);
  if (!k->is_asked) return refuse(L, lua_tostring(L, WAIT_WHAT), "the pool has been closed", "closed");
  if (!is_late(L)) return wait_for_link(L, k, answered);
  release(k);
  return refuse(L, lua_tostring(L, WAIT_WHAT), "it has taken too long (timeout)", "timeout");
}

static void fill_question(lua_State *L, struct link *k, int top) {
  struct span sql;
  struct pg_question *q = &k->question;
  sql.bytes = luaL_checklstring(L, ASK_SQL, &sql.len);
  buf_reset(&q->sql, 65536);
  buf_reset(&q->parameters, 65536);
  q->parameter_count = 0, q->is_plain = lua_toboolean(L, ASK_PLAIN);
  for (int i = ASK_PARAMETERS; i <= top; i++, q->parameter_count++) {
    struct value v = {.type = lua_isnil(L, i) ? VALUE_NULL : VALUE_TEXT};
    // With its NUL, up to which libpq reads it.
    if (v.type == VALUE_TEXT) v.text.bytes = luaL_checklstring(L, i, &v.text.len), v.text.len++;
    values_put(&q->parameters, &v);
  }
  buf_append(&q->sql, sql.bytes, sql.len + 1);
}

// link:ask(what, deadline, rows_max, bytes_max, is_plain, sql, ...): the parameters are texts or nil. A page
// of rows, whether there are more, how many were changed, { column = oid } of types to be read or nil, the
// command; nil, a message, a code, an SQLSTATE or nil.
static int link_ask(lua_State *L) {
  struct link *k = check_link(L);
  const char *what = luaL_checkstring(L, WAIT_WHAT);
  luaL_checknumber(L, WAIT_DEADLINE);
  struct task *t = task_check(L, what);
  if (k->is_asked)
    return raise_error(
        L, "%s: rows of this transaction are being read; read them to their end, or close them", what);
  if (k->lease.state != PG_LEASE_HELD) return refuse(L, what, "the connection was lost", "unavailable");
  fill_question(L, k, lua_gettop(L));
  pg_answer_reset(&k->answer);
  k->answer.rows_max = (size_t)luaL_checkinteger(L, ASK_ROWS_MAX);
  k->answer.bytes_max = (size_t)luaL_checkinteger(L, ASK_BYTES_MAX);
  k->is_asked = true;
  adopt(k, t);
  pg_connection_ask(k->lease.connection, &k->question, &k->answer);
  return answered(L, LUA_OK, 0);
}

// link:more(what, deadline): the next page, as ask() has the first.
static int link_more(lua_State *L) {
  struct link *k = check_link(L);
  luaL_checknumber(L, WAIT_DEADLINE);
  struct task *t = task_check(L, luaL_checkstring(L, WAIT_WHAT));
  if (!k->is_asked) return refuse(L, lua_tostring(L, WAIT_WHAT), "the connection was lost", "unavailable");
  adopt(k, t);
  buf_reset(&k->answer.rows, 1 << 17);
  k->answer.row_count = 0, k->answer.is_full = false;
  pg_connection_more(k->lease.connection);
  return answered(L, LUA_OK, 0);
}

// Pushes the texts of the first; false where a finalizer has let go of the connection meanwhile.
static bool push_notice(lua_State *L, const struct link *k, const struct pg_notice *n) {
  const struct pg_connection *c = k->lease.connection;
  struct span payload = {n->payload.len ? n->payload.bytes : "", n->payload.len};
  luaL_checkstack(L, 4, NULL);
  struct buf *copy = push_buf(L);
  if (k->lease.connection != c) return false;
  buf_append_span(copy, payload);
  buf_append_span(copy, buf_span(&n->channel));
  lua_pushlstring(L, copy->bytes + payload.len, copy->len - payload.len);
  lua_pushlstring(L, copy->bytes, payload.len);
  lua_remove(L, -3);
  return k->lease.connection == c;
}

// A list of channel and payload in turn.
static int push_notices(lua_State *L, struct link *k) {
  bool has_lost = k->lease.connection->has_lost_notices;
  struct pg_notice *notice;
  lua_newtable(L);
  int list = lua_gettop(L);
  k->lease.connection->has_lost_notices = false;
  for (lua_Integer n = 1; n < NOTICES_MAX && (notice = pg_connection_peek_notice(k->lease.connection));
       n += 2) {
    if (!push_notice(L, k, notice)) break;
    pg_connection_drop_notice(k->lease.connection);
    lua_rawseti(L, list, n + 1);
    lua_rawseti(L, list, n);
  }
  lua_settop(L, list);
  lua_pushboolean(L, has_lost);
  return 2;
}

static int notified(lua_State *L, int status, lua_KContext context) {
  struct link *k = check_link(L);
  struct pg_connection *c = k->lease.connection;
  (void)status, (void)context;
  if (!c)
    return refuse(L, lua_tostring(L, WAIT_WHAT), *k->lease.why ? k->lease.why : "the pool has been closed",
                  "unavailable");
  bool is_due = pg_connection_peek_notice(c) || c->has_lost_notices || k->was_woken || is_late(L);
  if (!is_due) return wait_for_link(L, k, notified);
  k->was_woken = false;
  return push_notices(L, k);
}

// link:notices(what, deadline): what was notified since, { channel, payload, channel, payload ... }, and
// whether more was than could be kept; an empty list at the deadline, or when link:wake() was called.
static int link_notices(lua_State *L) {
  struct link *k = check_link(L);
  struct task *t = task_check(L, luaL_checkstring(L, WAIT_WHAT));
  luaL_checknumber(L, WAIT_DEADLINE);
  adopt(k, t);
  if (k->lease.connection) k->lease.connection->keeps_notices = true;
  return notified(L, LUA_OK, 0);
}

static int link_wake(lua_State *L) {
  struct link *k = check_link(L);
  k->was_woken = true;
  waitlist_wake_all(&k->waiting);
  return 0;
}

static int link_release(lua_State *L) {
  release(check_link(L));
  return 0;
}

// A list of texts, keyword and value in turn.
static void read_texts(lua_State *L, int index, struct buf *texts) {
  size_t n = lua_rawlen(L, index);
  for (size_t i = 1; i <= n; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, index, (lua_Integer)i);
    struct value v = {.type = VALUE_TEXT};
    v.text.bytes = luaL_checklstring(L, -1, &v.text.len);
    values_put(texts, &v);
  }
}

enum { OPEN_CONNINFO = 1, OPEN_TEXTS, OPEN_PREPARES, OPEN_CONNECT, OPEN_CONNECTIONS, OPEN_QUEUE, OPEN_IDLE };

// core.postgres_open(conninfo or nil, texts, prepares, connect, connections, queue, idle): a handle; nil and
// what is wrong with the parameters.
static int postgres_open(lua_State *L) {
  lua_settop(L, OPEN_IDLE);
  luaL_checktype(L, OPEN_TEXTS, LUA_TTABLE);
  struct buf *texts = push_buf(L), *why = push_buf(L);
  struct held **box = held_push(L, HANDLE, 0);
  struct handle *h = xcalloc(1, sizeof *h);
  list_init(&h->links);
  held_put(L, box, &h->held, drop_handle);
  h->held.leave = leave_handle;
  read_texts(L, OPEN_TEXTS, texts);
  h->config.prepares = lua_toboolean(L, OPEN_PREPARES), h->config.connect = luaL_checknumber(L, OPEN_CONNECT);
  h->limits = (struct pg_pool_limits){.connections = (size_t)luaL_checkinteger(L, OPEN_CONNECTIONS),
                                      .queue = (size_t)luaL_checkinteger(L, OPEN_QUEUE),
                                      .idle = luaL_checknumber(L, OPEN_IDLE)};
  if (pg_config_read(&h->config, luaL_optstring(L, OPEN_CONNINFO, NULL), buf_span(texts), why) == 0) return 1;
  lua_pushnil(L);
  lua_pushlstring(L, why->bytes, why->len);
  return 2;
}

void lua_postgres_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"take", handle_take}, {"close", handle_close}, {NULL, NULL}},
                        link_methods[] = {{"ask", link_ask},         {"more", link_more},
                                          {"notices", link_notices}, {"wake", link_wake},
                                          {"release", link_release}, {NULL, NULL}};
  class_new(L, HANDLE, methods, held_collect);
  class_new(L, LINK, link_methods, held_collect);
  lua_pushcfunction(L, postgres_open);
  lua_setfield(L, -2, "postgres_open");
}
