// SPDX-License-Identifier: MIT
// Commands for the library: some at once, all of which a task waits for. What is asked is C memory, and so is
// what comes back; values are built when the task goes on. Who is cancelled meanwhile is not told any more,
// and the connection of a command that blocks is closed, so that the server does not hand it what nobody
// takes.
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/raise.h"
#include "script/redis_handle.h"
#include "script/redis_subscriber.h"
#include "script/task.h"
#include "script/vm.h"

struct one {
  struct redis_command command;
  struct asked *asked;
  enum redis_code code;
  redisReply *reply;
  char *message; // of a code
};

// What a task waits for.
struct asked {
  struct held held;
  struct redis_user user;  // in the handle's list
  struct redis_line *line; // its own; NULL: the shared connection
  struct waitlist done;
  size_t count, pending;
  struct one each[];
};

static void on_reply(struct redis_command *c, struct redis_answer *a) {
  struct one *o = container_of(c, struct one, command);
  struct asked *all = o->asked;
  if (all->line && all->line->handle->cluster) redis_cluster_learn(all->line->handle->cluster, a->message);
  o->code = a->code, o->reply = a->reply;
  o->message = a->message ? xstrdup(a->message) : NULL;
  a->reply = NULL;
  if (!--all->pending) waitlist_wake_all(&all->done);
}

static void give_line(struct asked *a) {
  struct redis_line *l = a->line;
  a->line = NULL;
  if (l) redis_line_give(l, a->pending > 0);
}

// Waits for nothing any more.
static void asked_leave(struct asked *a) {
  list_remove(&a->user.link);
  give_line(a);
  for (size_t i = 0; i < a->count; i++) redis_leave(&a->each[i].command);
}

static void close_asked(struct redis_user *u) {
  struct asked *a = container_of(u, struct asked, user);
  asked_leave(a);
  for (size_t i = 0; i < a->count; i++) {
    struct one *o = &a->each[i];
    if (!o->code && !o->reply) o->code = REDIS_CODE_CLOSED, o->message = xstrdup("redis: it has been closed");
  }
  a->pending = 0;
  waitlist_wake_all(&a->done);
}

static void leave_asked(struct held *h) { asked_leave(container_of(h, struct asked, held)); }

static void drop_asked(struct vm *vm, struct held *h) {
  struct asked *a = container_of(h, struct asked, held);
  (void)vm;
  asked_leave(a);
  for (size_t i = 0; i < a->count; i++) {
    if (a->each[i].reply) freeReplyObject(a->each[i].reply);
    free(a->each[i].message);
  }
  free(a);
}

static struct asked *push_asked(lua_State *L, size_t count) {
  struct held **box = held_push_closed(L);
  struct asked *a = xcalloc(1, sizeof *a + count * sizeof a->each[0]);
  a->count = count, a->user.close = close_asked;
  list_init(&a->user.link);
  waitlist_init(&a->done);
  for (size_t i = 0; i < count; i++) a->each[i] = (struct one){.command = {.on_reply = on_reply}, .asked = a};
  held_put(L, box, &a->held, drop_asked);
  a->held.leave = leave_asked;
  return a;
}

static void push_error_table(lua_State *L, const char *message, size_t len, enum redis_code code) {
  lua_createtable(L, 0, 2);
  lua_pushlstring(L, message, len);
  lua_setfield(L, -2, "err");
  lua_pushstring(L, redis_code_name(code));
  lua_setfield(L, -2, "code");
}

// A value inside of another: nil is false there, an error a table.
static void push_element(lua_State *L, const redisReply *r) {
  struct span text = redis_text(r);
  luaL_checkstack(L, 4, NULL);
  if (r->type == REDIS_REPLY_ERROR) push_error_table(L, text.bytes, text.len, redis_code_of(r));
  else if (text.bytes) lua_pushlstring(L, text.bytes, text.len);
  else if (r->type == REDIS_REPLY_INTEGER) lua_pushinteger(L, r->integer);
  else if (r->type != REDIS_REPLY_ARRAY) lua_pushboolean(L, false);
  else {
    lua_createtable(L, (int)r->elements, 0);
    for (size_t i = 0; i < (size_t)r->elements; i++) {
      push_element(L, r->element[i]);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
  }
}

// What an ask has on its stack, below its box.
enum { ASK_HANDLE = 1, ASK_WHAT, ASK_KIND, ASK_TIMEOUT, ASK_COMMANDS };

static int push_failure_of(lua_State *L, const struct one *o) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", lua_tostring(L, ASK_WHAT), o->message);
  lua_pushstring(L, redis_code_name(o->code));
  return 3;
}

static int push_single(lua_State *L, const struct one *o) {
  if (o->code) return push_failure_of(L, o);
  if (o->reply->type == REDIS_REPLY_NIL) lua_pushnil(L);
  else push_element(L, o->reply);
  return 1;
}

// A list of values; or a failure, where one has no answer of the server's.
static int push_list(lua_State *L, const struct asked *a) {
  for (size_t i = 0; i < a->count; i++)
    if (!a->each[i].reply) return push_failure_of(L, &a->each[i]);
  lua_createtable(L, (int)a->count, 0);
  for (size_t i = 0; i < a->count; i++) {
    push_element(L, a->each[i].reply);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int asked_done(lua_State *L, int status, lua_KContext box) {
  struct held *const *held = lua_touserdata(L, (int)box);
  struct asked *a = container_of(*held, struct asked, held);
  (void)status;
  if (a->pending) return task_wait_in(L, vm_of(L)->current, &a->done, INFINITY, box, asked_done);
  give_line(a);
  list_remove(&a->user.link);
  return strcmp(lua_tostring(L, ASK_KIND), "list") ? push_single(L, &a->each[0]) : push_list(L, a);
}

// Replaces the numbers in the list of words on top by their texts.
static void check_words(lua_State *L, lua_Integer count) {
  int words = lua_gettop(L);
  for (lua_Integer i = 1; i <= count; i++) {
    int type = lua_rawgeti(L, words, i), is_whole = 0;
    if (type == LUA_TNUMBER) {
      lua_Integer n = lua_tointegerx(L, -1, &is_whole);
      if (is_whole) lua_pushinteger(L, n);
      else lua_pushvalue(L, -1);
      lua_tolstring(L, -1, NULL);
      lua_rawseti(L, words, i);
    } else if (type != LUA_TSTRING) {
      raise_error(L, "%s: word %d: expected a string or a number, got %s", lua_tostring(L, ASK_WHAT), (int)i,
                  luaL_typename(L, -1));
    }
    lua_pop(L, 1);
  }
}

// Before anything is asked.
static void check_commands(lua_State *L) {
  for (lua_Integer i = 1; lua_rawgeti(L, ASK_COMMANDS, i) == LUA_TTABLE; i++) {
    check_words(L, (lua_Integer)lua_rawlen(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

// Appends the command that the list of words on top is.
static void format_words(lua_State *L, struct buf *bytes) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  int words = lua_gettop(L);
  const char **argv = lua_newuserdatauv(L, (size_t)count * (sizeof *argv + sizeof(size_t)), 0);
  size_t *lens = (size_t *)(void *)(argv + count);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, words, i + 1);
    argv[i] = lua_tolstring(L, -1, &lens[i]); // the list keeps it
    lua_pop(L, 1);
  }
  redis_format(bytes, (int)count, argv, lens);
  lua_pop(L, 1);
}

// The key by which a cluster's node is found, of command `i`; { NULL }: any.
static struct span key_of(lua_State *L, lua_Integer i) {
  struct span key = {0};
  lua_rawgeti(L, ASK_COMMANDS, i);
  if (lua_getfield(L, -1, "key") == LUA_TSTRING)
    key.bytes = lua_tolstring(L, -1, &key.len); // the list keeps it
  lua_pop(L, 2);
  return key;
}

static void submit(struct redis_handle *h, struct asked *a, struct one *o, struct span key, struct span bytes,
                   unsigned prefix) {
  struct redis_command *c = &o->command;
  a->pending++;
  if (h->cluster && !a->line ? redis_cluster_ask(h->cluster, c, key, bytes, prefix)
                             : redis_ask_formatted(a->line ? a->line->redis : h->redis, c, bytes, prefix))
    return;
  a->pending--;
  o->code = REDIS_CODE_UNAVAILABLE, o->message = xstrdup("too much waits for the server already");
}

// Formats and asks each, or all as one between MULTI and EXEC.
static void submit_all(lua_State *L, struct redis_handle *h, struct asked *a, bool is_atomic) {
  struct buf *bytes = push_buf(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, ASK_COMMANDS);
  if (is_atomic) redis_format(bytes, 1, (const char *const[]){"MULTI"}, (const size_t[]){5});
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, ASK_COMMANDS, i);
    format_words(L, bytes);
    lua_pop(L, 1);
    if (is_atomic) continue;
    submit(h, a, &a->each[i - 1], key_of(L, i), buf_span(bytes), 0);
    bytes->len = 0;
  }
  if (is_atomic) {
    redis_format(bytes, 1, (const char *const[]){"EXEC"}, (const size_t[]){4});
    submit(h, a, &a->each[0], key_of(L, 1), buf_span(bytes), (unsigned)count + 1);
  }
  buf_deinit(bytes);
  lua_pop(L, 1);
}

// handle:ask(what, kind, timeout, commands): kind "single", "list", "atomic" or "blocking"; timeout: seconds,
// 0: the handle's, INFINITY. Commands: a list of lists of words, ours.
static int handle_ask(lua_State *L) {
  struct redis_handle *h = redis_handle_check(L, ASK_HANDLE);
  const char *what = luaL_checkstring(L, ASK_WHAT), *kind = luaL_checkstring(L, ASK_KIND);
  double timeout = luaL_checknumber(L, ASK_TIMEOUT);
  luaL_checktype(L, ASK_COMMANDS, LUA_TTABLE);
  lua_settop(L, ASK_COMMANDS);
  struct task *t = task_check(L, what);
  size_t count = lua_rawlen(L, ASK_COMMANDS);
  check_commands(L);
  bool is_atomic = !strcmp(kind, "atomic"), is_blocking = !strcmp(kind, "blocking");
  if (!redis_handle_begin(h, t->vm->service->redis_home))
    return push_failure_code(L, lua_pushfstring(L, "%s: it has been closed", what), "closed");
  struct asked *a = push_asked(L, is_atomic ? 1 : count);
  int box = lua_gettop(L);
  for (size_t i = 0; i < a->count; i++) a->each[i].command.timeout = timeout;
  if (is_blocking && !(a->line = redis_line_take(h, key_of(L, 1))))
    return push_failure_code(L, lua_pushfstring(L, "%s: as many commands block as may at a time", what),
                             "busy");
  submit_all(L, h, a, is_atomic);
  counter_add(&t->vm->service->counters.redis_commands_total, (int64_t)count);
  list_append(&h->asked, &a->user.link);
  return asked_done(L, LUA_OK, box);
}

static int handle_close(lua_State *L) {
  redis_handle_close(redis_handle_check(L, 1));
  return 0;
}

void lua_redis_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"ask", handle_ask}, {"subscribe", redis_subscriber_new}, {"close", handle_close}, {NULL, NULL}};
  redis_handle_register(L, methods);
  redis_subscriber_register(L);
  lua_pushcfunction(L, redis_handle_open);
  lua_setfield(L, -2, "redis_open");
}
