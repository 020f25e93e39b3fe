// SPDX-License-Identifier: MIT
// SQLite for the library. A handle is made wherever the script runs; what it stands for begins with its first
// call, in a task. While a task has a transaction the calls of others wait in the handle, each for as long as
// it may take. Where that task ends otherwise than by a commit the transaction is rolled back.
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "client/sqlite.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

static const char DATABASE[] = "spate.sqlite", ROWS[] = "spate.sqlite_rows", BLOB[] = "spate.sqlite_blob";

struct database {
  struct held held;
  struct sqlite_config config; // until there is `sqlite`
  struct sqlite_limits limits;
  double timeout;        // seconds of a call
  struct sqlite *sqlite; // NULL: nothing has been asked yet, or it is closed
  bool is_closed;
  struct task *owner; // has a transaction
  struct tie tie;     // to the owner
  struct waitlist turn;
  struct list cursors;
  uint64_t cursor_count; // ever
};

// Rows that come page by page.
struct rows_handle {
  struct held held;
  struct list link;          // in the database's
  struct database *database; // NULL once they are let go of
  uint64_t cursor;
  bool has_begun;
};

static struct database *database_in(struct held *const *box) {
  return *box ? container_of(*box, struct database, held) : NULL;
}

static struct database *check_database(lua_State *L) {
  struct database *d = database_in(luaL_checkudata(L, 1, DATABASE));
  if (!d) raise_error(L, "the database has been let go of already, in a finalizer");
  return d;
}

static void free_posted(struct sqlite_call *c) {
  sqlite_question_deinit(&c->question);
  free(c);
}

// What nobody waits for.
static void post(struct database *d, enum sqlite_kind kind, uint64_t cursor) {
  if (!d->sqlite) return;
  struct sqlite_call *c = xcalloc(1, sizeof *c);
  c->question = (struct sqlite_question){.kind = kind, .cursor = cursor};
  c->free = free_posted;
  sqlite_post(d->sqlite, c);
}

// The transaction is over; who has waited for that looks again.
static void release_owner(struct database *d) {
  d->owner = NULL;
  list_remove(&d->tie.link);
  waitlist_wake_all(&d->turn);
}

static void roll_back(struct tie *tie) {
  struct database *d = container_of(tie, struct database, tie);
  if (!d->owner) return;
  post(d, QUESTION_ROLLBACK, 0);
  release_owner(d);
}

static void let_go_of_rows(struct rows_handle *r) {
  struct database *d = r->database;
  r->database = NULL;
  list_remove(&r->link);
  if (d && r->has_begun) post(d, QUESTION_ROWS_END, r->cursor);
}

static void close_database(struct database *d) {
  list_each (node, &d->cursors) let_go_of_rows(container_of(node, struct rows_handle, link));
  if (d->owner) release_owner(d);
  if (d->sqlite) sqlite_close(d->sqlite);
  d->sqlite = NULL, d->is_closed = true;
}

static void leave_database(struct held *h) { close_database(container_of(h, struct database, held)); }

static void drop_database(struct vm *vm, struct held *h) {
  struct database *d = container_of(h, struct database, held);
  (void)vm;
  close_database(d);
  sqlite_config_deinit(&d->config);
  free(d);
}

static void drop_rows(struct vm *vm, struct held *h) {
  struct rows_handle *r = container_of(h, struct rows_handle, held);
  (void)vm;
  let_go_of_rows(r);
  free(r);
}

// A call that a task waits for.
struct asked {
  struct sqlite_call call;
  struct waitlist done;
};

// Of the task's stack.
struct hold {
  struct held held;
  struct asked *asked; // NULL once it is let go of
};

static struct asked *asked_of(struct sqlite_call *c) { return container_of(c, struct asked, call); }

static void free_asked(struct sqlite_call *c) {
  sqlite_question_deinit(&c->question);
  free(asked_of(c));
}

static void on_done(struct sqlite_call *c) { waitlist_wake_all(&asked_of(c)->done); }

static void let_go_of_call(struct held *h) {
  struct hold *hold = container_of(h, struct hold, held);
  struct asked *a = hold->asked;
  hold->asked = NULL;
  if (a) sqlite_call_leave(&a->call);
}

static void drop_hold(struct vm *vm, struct held *h) {
  (void)vm;
  let_go_of_call(h);
  free(container_of(h, struct hold, held));
}

static struct asked *push_asked(lua_State *L) {
  struct held **box = held_push_closed(L);
  struct asked *a = xcalloc(1, sizeof *a);
  struct hold *hold = xmalloc(sizeof *hold);
  a->call.on_done = on_done, a->call.free = free_asked;
  list_init(&a->call.link);
  waitlist_init(&a->done);
  *hold = (struct hold){.asked = a};
  held_put(L, box, &hold->held, drop_hold);
  hold->held.leave = let_go_of_call;
  return a;
}

static bool push_text_of_blob(lua_State *L, int index) {
  if (!luaL_testudata(L, index, BLOB)) return false;
  lua_getiuservalue(L, index, 1);
  return true;
}

// What the value at `index` is to SQLite; the text is borrowed from it.
static struct value check_value(lua_State *L, int index, const char *what, const char *name) {
  struct value v = {.type = VALUE_NULL};
  switch (lua_type(L, index)) {
  case LUA_TNIL: return v;
  case LUA_TBOOLEAN: return v.type = VALUE_INTEGER, v.integer = lua_toboolean(L, index), v;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) return v.type = VALUE_INTEGER, v.integer = lua_tointeger(L, index), v;
    return v.type = VALUE_FLOAT, v.number = lua_tonumber(L, index), v;
  case LUA_TSTRING: return v.type = VALUE_TEXT, v.text.bytes = lua_tolstring(L, index, &v.text.len), v;
  default: break;
  }
  if (!push_text_of_blob(L, index))
    raise_error(L, "%s: parameter %s: expected a string, a number, a boolean, nil or sqlite.blob, got %s",
                what, name, luaL_typename(L, index));
  v.type = VALUE_BLOB, v.text.bytes = lua_tolstring(L, -1, &v.text.len);
  lua_pop(L, 1); // the value keeps it
  return v;
}

static void put_named(lua_State *L, int table, const char *what, struct sqlite_question *q) {
  q->is_named = true;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      raise_error(L, "%s: expected parameters by name, { name = value }; by position they are arguments",
                  what);
    struct value name = {.type = VALUE_TEXT};
    name.text.bytes = lua_tolstring(L, -2, &name.text.len);
    struct value v = check_value(L, lua_gettop(L), what, name.text.bytes);
    values_put(&q->parameters, &name);
    values_put(&q->parameters, &v);
    q->parameter_count++;
  }
}

static void put_parameters(lua_State *L, int from, int to, const char *what, struct sqlite_question *q) {
  char number[16];
  if (from == to && lua_istable(L, from)) {
    put_named(L, from, what, q);
    return;
  }
  for (int i = from; i <= to; i++) {
    snprintf(number, sizeof number, "%d", i - from + 1);
    struct value v = check_value(L, i, what, number);
    values_put(&q->parameters, &v);
    q->parameter_count++;
  }
}

static void push_value(lua_State *L, const struct value *v) {
  switch (v->type) {
  case VALUE_INTEGER: lua_pushinteger(L, v->integer); break;
  case VALUE_FLOAT: lua_pushnumber(L, v->number); break;
  case VALUE_TEXT:
  case VALUE_BLOB: lua_pushlstring(L, v->text.bytes, v->text.len); break;
  default: lua_pushnil(L);
  }
}

// A list of tables.
static void push_rows(lua_State *L, const struct sqlite_question *q) {
  struct span columns = buf_span(&q->columns), rest = buf_span(&q->rows);
  struct value v;
  int column_count = (int)q->column_count;
  lua_createtable(L, column_count, 0);
  int names = lua_gettop(L);
  for (int i = 1; values_next(&columns, &v); i++) push_value(L, &v), lua_rawseti(L, names, i);
  lua_createtable(L, (int)q->row_count, 0);
  for (size_t row = 1; row <= q->row_count; row++) {
    lua_createtable(L, 0, column_count);
    for (int i = 1; i <= column_count && values_next(&rest, &v); i++) {
      lua_rawgeti(L, names, i);
      push_value(L, &v);
      lua_rawset(L, -3);
    }
    lua_rawseti(L, -2, (lua_Integer)row);
  }
  lua_remove(L, names);
}

// What ask() has on its stack, below the call's box.
enum { ASK_DATABASE = 1, ASK_DEADLINE, ASK_WHAT, ASK_KIND, ASK_ROWS, ASK_SQL, ASK_PARAMETERS };

static int push_refusal(lua_State *L, const char *message, const char *code) {
  return push_failure_code(L, lua_pushfstring(L, "%s: %s", lua_tostring(L, ASK_WHAT), message), code);
}

// nil, "what: message", code; a mistake of the script's is raised.
static int push_error(lua_State *L, const struct sqlite_question *q) {
  bool is_late = !strcmp(q->code, "stopped");
  if (!q->is_misuse) lua_pushnil(L);
  lua_pushfstring(L, "%s: ", lua_tostring(L, ASK_WHAT));
  lua_pushlstring(L, q->message.len ? q->message.bytes : "", q->message.len);
  lua_pushstring(L, is_late ? ": it has taken too long (timeout)" : "");
  lua_concat(L, 3);
  if (q->is_misuse) return raise_top(L);
  lua_pushstring(L, is_late ? "timeout" : q->code);
  return 3;
}

static int push_answer(lua_State *L, const struct sqlite_question *q) {
  if (q->code) return push_error(L, q);
  switch (q->kind) {
  case QUESTION_EXEC:
    lua_pushinteger(L, q->changes);
    lua_pushinteger(L, q->last_id);
    return 2;
  case QUESTION_QUERY: push_rows(L, q); return 1;
  case QUESTION_ROWS:
  case QUESTION_MORE:
    push_rows(L, q);
    lua_pushboolean(L, q->has_more);
    return 2;
  default: lua_pushboolean(L, true); return 1;
  }
}

// A transaction has begun or not, has ended or not.
static void settle_owner(struct database *d, const struct task *t, const struct sqlite_question *q) {
  if (d->owner != t) return;
  if (q->kind == QUESTION_BEGIN && q->code) release_owner(d);
  if (q->kind == QUESTION_COMMIT && q->code) roll_back(&d->tie);
  if (q->kind == QUESTION_COMMIT && !q->code) release_owner(d);
}

static struct database *database_at(lua_State *L) { return database_in(lua_touserdata(L, ASK_DATABASE)); }

// The box of the call is at the place `box`.
static int asked(lua_State *L, int status, lua_KContext box) {
  struct held *const *held = lua_touserdata(L, (int)box);
  struct asked *a = container_of(*held, struct hold, held)->asked;
  struct task *t = vm_of(L)->current;
  double deadline = lua_tonumber(L, ASK_DEADLINE);
  (void)status;
  if (vm_of(L)->loop->now >= deadline) sqlite_call_stop(&a->call), deadline = INFINITY;
  if (a->call.state != SQLITE_CALL_DONE) return task_wait_in(L, t, &a->done, deadline, box, asked);
  settle_owner(database_at(L), t, &a->call.question);
  return push_answer(L, &a->call.question);
}

// The kind that is meant: what follows the first page of rows has no text any more.
static enum sqlite_kind kind_at(lua_State *L) {
  static const char *const names[] = {"exec", "query", "rows", "begin", "commit", NULL};
  static const enum sqlite_kind kinds[] = {QUESTION_EXEC, QUESTION_QUERY, QUESTION_ROWS, QUESTION_BEGIN,
                                           QUESTION_COMMIT};
  return kinds[luaL_checkoption(L, ASK_KIND, NULL, names)];
}

static void fill(lua_State *L, struct sqlite_question *q, int top) {
  const char *what = lua_tostring(L, ASK_WHAT);
  struct held *const *box = luaL_testudata(L, ASK_ROWS, ROWS);
  struct rows_handle *r = box && *box ? container_of(*box, struct rows_handle, held) : NULL;
  q->kind = kind_at(L);
  if (r) q->cursor = r->cursor;
  if (r && r->has_begun) {
    q->kind = QUESTION_MORE;
    return;
  }
  if (q->kind == QUESTION_BEGIN || q->kind == QUESTION_COMMIT) return;
  struct span sql;
  sql.bytes = luaL_checklstring(L, ASK_SQL, &sql.len);
  put_parameters(L, ASK_PARAMETERS, top, what, q);
  buf_append(&q->sql, sql.bytes, sql.len + 1);
  if (r) r->has_begun = true;
}

static int submit(lua_State *L, struct database *d, struct asked *a) {
  struct task *t = vm_of(L)->current;
  struct sqlite_question *q = &a->call.question;
  q->in_transaction = d->owner == t && q->kind != QUESTION_BEGIN;
  if (!d->sqlite) d->sqlite = sqlite_new(vm_of(L)->service, &d->config, d->limits);
  if (!d->sqlite) return push_refusal(L, "too many databases are open already", "busy");
  if (!sqlite_submit(d->sqlite, &a->call))
    return push_refusal(L, "too many calls wait already (queue)", "busy");
  if (q->kind == QUESTION_BEGIN) {
    d->owner = t;
    task_tie(t, &d->tie);
  }
  return asked(L, LUA_OK, lua_gettop(L));
}

// Waits until no other task has a transaction.
static int ask_in_turn(lua_State *L, int status, lua_KContext top) {
  struct database *d = database_at(L);
  struct task *t = vm_of(L)->current;
  double deadline = lua_tonumber(L, ASK_DEADLINE);
  (void)status;
  if (d->is_closed) return push_refusal(L, "the database has been closed", "closed");
  if (d->owner && d->owner != t) {
    if (vm_of(L)->loop->now < deadline) return task_wait_in(L, t, &d->turn, deadline, top, ask_in_turn);
    return push_refusal(L, "another task's transaction has taken too long (timeout)", "timeout");
  }
  struct asked *a = push_asked(L);
  fill(L, &a->call.question, (int)top);
  return submit(L, d, a);
}

// handle:ask(what, kind, rows, sql, ...): of "exec" how many rows have changed, and the last one's rowid; of
// "query" the rows; of "rows" the next of them, and whether there are more; of "begin" and "commit" true.
// nil, a message and a code. `what` begins the message.
static int database_ask(lua_State *L) {
  const struct database *d = check_database(L);
  struct task *t = task_check(L, luaL_checkstring(L, 2));
  lua_pushnumber(L, vm_of(L)->loop->now + d->timeout);
  lua_insert(L, ASK_DEADLINE);
  if (kind_at(L) == QUESTION_BEGIN && d->owner == t)
    return raise_error(L, "%s: the task is in a transaction of this database already",
                       lua_tostring(L, ASK_WHAT));
  return ask_in_turn(L, LUA_OK, lua_gettop(L));
}

// handle:abandon(): rolls the task's transaction back, where it has not been committed. Does not wait.
static int database_abandon(lua_State *L) {
  struct database *d = check_database(L);
  if (d->owner && d->owner == vm_of(L)->current) roll_back(&d->tie);
  return 0;
}

static int database_close(lua_State *L) {
  close_database(check_database(L));
  return 0;
}

// handle:rows(): what "rows" is asked with.
static int database_rows(lua_State *L) {
  struct database *d = check_database(L);
  struct held **box = held_push(L, ROWS, 0);
  struct rows_handle *r = xmalloc(sizeof *r);
  *r = (struct rows_handle){.database = d, .cursor = ++d->cursor_count};
  list_init(&r->link);
  list_append(&d->cursors, &r->link);
  held_put(L, box, &r->held, drop_rows);
  return 1;
}

static int rows_close(lua_State *L) {
  struct held **box = luaL_checkudata(L, 1, ROWS);
  if (*box) let_go_of_rows(container_of(*box, struct rows_handle, held));
  return 0;
}

static double number_at(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  double n = luaL_checknumber(L, -1);
  lua_pop(L, 1);
  return n;
}

static char *copy_at(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  const char *text = lua_tostring(L, -1);
  char *copy = text ? xstrdup(text) : NULL;
  lua_pop(L, 1);
  return copy;
}

static void read_config(lua_State *L, struct database *d) {
  struct sqlite_config *c = &d->config;
  c->busy = number_at(L, "busy"), c->statements = (size_t)number_at(L, "statements");
  c->rows_max = (size_t)number_at(L, "max_rows"), c->bytes_max = (size_t)number_at(L, "max_bytes");
  d->timeout = number_at(L, "timeout"), d->limits.queue = (size_t)number_at(L, "queue");
  c->path = copy_at(L, "path"), c->journal = copy_at(L, "journal");
  lua_getfield(L, 1, "read_only");
  c->is_read_only = lua_toboolean(L, -1);
  lua_getfield(L, 1, "migrations");
  c->migration_count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  for (size_t i = 1; i <= c->migration_count; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, -1, (lua_Integer)i);
    struct value v = {.type = VALUE_TEXT};
    v.text.bytes = luaL_checklstring(L, -1, &v.text.len);
    values_put(&c->migrations, &v);
  }
}

// core.sqlite_open(config): a handle; of the table all names that read_config has are there.
static int sqlite_open(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct held **box = held_push(L, DATABASE, 0);
  struct database *d = xcalloc(1, sizeof *d);
  d->tie.cut = roll_back;
  list_init(&d->tie.link);
  list_init(&d->cursors);
  waitlist_init(&d->turn);
  held_put(L, box, &d->held, drop_database);
  d->held.leave = leave_database;
  read_config(L, d);
  lua_settop(L, 2);
  return 1;
}

// core.sqlite_blob(bytes): what is bound as a blob.
static int sqlite_blob(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_newuserdatauv(L, 0, 1);
  luaL_setmetatable(L, BLOB);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

void lua_sqlite_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"ask", database_ask},
                                     {"abandon", database_abandon},
                                     {"rows", database_rows},
                                     {"close", database_close},
                                     {NULL, NULL}},
                        rows_methods[] = {{"close", rows_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"sqlite_open", sqlite_open}, {"sqlite_blob", sqlite_blob}, {NULL, NULL}};
  class_new(L, DATABASE, methods, held_collect);
  class_new(L, ROWS, rows_methods, held_collect);
  class_new(L, BLOB, NULL, NULL);
  luaL_setfuncs(L, functions, 0);
}
