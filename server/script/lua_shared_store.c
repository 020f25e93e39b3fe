// SPDX-License-Identifier: MIT
// A dictionary that the store keeps for several processes: each method is one step of the store's, for which
// its task waits. Nothing of it is here, so that nothing here is old; what is asked, and answered, is C
// memory, and values are built when the task goes on.
#include "script/lua_shared_store.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/broker.h"
#include "event/shared.h"
#include "script/class.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/shared_arguments.h"
#include "script/task.h"
#include "script/vm.h"
#include "store/store_call.h"

static const char META[] = "spate.shared.kept";

// Of a script's: the name is all.
struct kept {
  size_t len;
  char name[];
};

// Of a waiting task's stack: a task that is cancelled lets go of it, and an answer that comes then finds
// nobody.
struct asked {
  struct held held;
  struct store_call *call;
};

static struct kept *check_kept(lua_State *L, const char *method) {
  struct kept *k = luaL_testudata(L, 1, META);
  if (!k)
    raise_error(L, "shared:%s: expected a dictionary before it, as in dictionary:%s(...), got %s", method,
                method, luaL_typename(L, 1));
  return k;
}

static void drop_asked(struct vm *vm, struct held *held) {
  struct asked *a = container_of(held, struct asked, held);
  (void)vm;
  store_call_unref(a->call);
  free(a);
}

static struct store_call *call_at(lua_State *L, lua_KContext index) {
  struct held **box = lua_touserdata(L, (int)index);
  return container_of(*box, struct asked, held)->call;
}

// Not by way of what holds the call: that may be collected on another thread once its state has left this
// one.
static void wake_asker(struct job *j) {
  struct store_call *c = container_of(j, struct store_call, job);
  for (struct list *node; (node = list_shift(&c->waiters));)
    task_wake(container_of(node, struct task, wait_link));
}

// Pushes what holds a call, which has the dictionary's name and, where there is one, a key; raises where
// nothing can wait. Its words are for the caller to add, without raising.
static struct store_call *begin(lua_State *L, const struct kept *k, const char *step,
                                const struct span *key) {
  const char *what = lua_pushfstring(L, "shared:%s", step);
  task_check(L, what);
  struct held **box = held_push_closed(L);
  struct vm *vm = vm_of(L);
  struct asked *a = xmalloc(sizeof *a);
  a->call = store_call_new(vm->service->broker->store, step, vm->service->inbox, wake_asker);
  words_add(&a->call->words, (struct span){k->name, k->len});
  if (key) words_add(&a->call->words, *key);
  held_put(L, box, &a->held, drop_asked);
  return a->call;
}

static void add_value(struct store_call *c, const struct shared_value *v) {
  shared_value_write(&c->words.bytes, v);
  words_end(&c->words);
}

// In milliseconds; empty: it stays.
static void add_ttl(struct store_call *c, double ttl) {
  if (!isinf(ttl)) buf_printf(&c->words.bytes, "%.0f", ceil(ttl * 1000));
  words_end(&c->words);
}

// Asks, and suspends the task; what begin has pushed is on top. The last thing a C function does.
static int finish(lua_State *L, struct store_call *c, lua_KFunction k) {
  struct task *t = vm_of(L)->current;
  list_append(&c->waiters, &t->wait_link);
  store_call_ask(c);
  return task_wait(L, t, INFINITY, lua_gettop(L), k);
}

// Where the store has not answered: pushes nil, "full"; or nil, "unavailable" and a word. 0: it has.
static int push_refusal(lua_State *L, const struct store_call *c) {
  if (c->answer == STORE_OK && c->answers.count) return 0;
  const char *why = c->why ? c->why : "protocol";
  if (!strcmp(why, "oom")) return push_failure(L, "full");
  return push_failure_code(L, "unavailable", why);
}

static int push_value_at(lua_State *L, const struct store_call *c, size_t i) {
  struct shared_value v;
  if (!shared_value_read(words_at(&c->answers, i), &v))
    return push_failure_code(L, "unavailable", "protocol");
  shared_value_push(L, &v);
  return 1;
}

static int push_value(lua_State *L, int status, lua_KContext index) {
  const struct store_call *c = call_at(L, index);
  int refused = push_refusal(L, c);
  (void)status;
  return refused ? refused : push_value_at(L, c, 0);
}

static int push_done(lua_State *L, int status, lua_KContext index) {
  const struct store_call *c = call_at(L, index);
  int refused = push_refusal(L, c);
  (void)status;
  if (refused) return refused;
  lua_pushboolean(L, span_equal(words_at(&c->answers, 0), SPAN("ok")));
  return 1;
}

// dictionary:get(key): the value, or nil.
static int get(lua_State *L) {
  struct kept *k = check_kept(L, "get");
  struct span key = shared_check_key(L, 2, "get");
  return finish(L, begin(L, k, "get", &key), push_value);
}

static int put(lua_State *L, const char *step, bool may_be_nil) {
  struct kept *k = check_kept(L, step);
  struct span key = shared_check_key(L, 2, step);
  struct shared_value v = shared_check_value(L, 3, step, may_be_nil);
  struct shared_arguments o = {.ttl = INFINITY};
  shared_read_options(L, 4, step, 1, &o);
  struct store_call *c = begin(L, k, step, &key);
  add_value(c, &v);
  add_ttl(c, o.ttl);
  return finish(L, c, push_done);
}

// dictionary:set(key, value [, { ttl = }]) and dictionary:add(...).
static int set(lua_State *L) { return put(L, "set", true); }
static int entry_add(lua_State *L) { return put(L, "add", false); }

static void add_if_equal(struct store_call *c, const struct shared_value *old, const struct shared_value *v) {
  if (shared_value_equal(old, v)) add_value(c, v);
}

// All ways to write what equals it: a number may be there as an integer or as a float, and 0 with a sign.
static void add_equals(struct store_call *c, const struct shared_value *old) {
  struct shared_value other = {.type = SHARED_FLOAT};
  add_value(c, old);
  if (!shared_value_is_number(old)) return;
  double number = old->type == SHARED_FLOAT ? old->number : (double)old->integer;
  if (old->type == SHARED_INTEGER || number == 0) {
    other.number = number;
    add_if_equal(c, old, &other);
  }
  if (number == 0) {
    other.number = -number;
    add_if_equal(c, old, &other);
  }
  if (old->type == SHARED_FLOAT && number >= -9223372036854775808.0 && number < 9223372036854775808.0)
    add_if_equal(c, old, &(struct shared_value){.type = SHARED_INTEGER, .integer = (int64_t)number});
}

// dictionary:cas(key, old, new [, { ttl = }]).
static int cas(lua_State *L) {
  struct kept *k = check_kept(L, "cas");
  struct span key = shared_check_key(L, 2, "cas");
  struct shared_value old = shared_check_value(L, 3, "cas", true), v = shared_check_value(L, 4, "cas", true);
  struct shared_arguments o = {0};
  shared_read_options(L, 5, "cas", 1, &o);
  struct store_call *c = begin(L, k, "cas", &key);
  add_value(c, &v);
  add_ttl(c, o.ttl);
  add_equals(c, &old);
  return finish(L, c, push_done);
}

static int push_sum(lua_State *L, int status, lua_KContext index) {
  const struct store_call *c = call_at(L, index);
  struct span how = words_at(&c->answers, 0);
  int refused = push_refusal(L, c);
  (void)status;
  if (refused) return refused;
  if (span_equal(how, SPAN("ok"))) return push_value_at(L, c, 1);
  const char *key = lua_tostring(L, 2);
  if (span_equal(how, SPAN("nan")))
    return raise_error(L, "shared:incr: the sum for '%s' is not a number (nan)", key);
  struct shared_value v;
  bool is_string = shared_value_read(words_at(&c->answers, 1), &v) && v.type == SHARED_STRING;
  return raise_error(L, "shared:incr: '%s' holds a %s, not a number", key, is_string ? "string" : "boolean");
}

// dictionary:incr(key [, by = 1 [, { init = 0, ttl = }]]): the sum.
static int incr(lua_State *L) {
  struct kept *k = check_kept(L, "incr");
  struct span key = shared_check_key(L, 2, "incr");
  struct shared_value v = {.type = SHARED_INTEGER, .integer = 1};
  struct shared_arguments o = {.ttl = INFINITY, .init = {.type = SHARED_INTEGER}};
  if (!lua_isnoneornil(L, 3)) v = shared_check_number(L, 3, "incr", "step");
  shared_read_options(L, 4, "incr", 2, &o);
  struct store_call *c = begin(L, k, "incr", &key);
  add_value(c, &v);
  add_value(c, &o.init);
  add_ttl(c, o.ttl);
  return finish(L, c, push_sum);
}

// dictionary:delete(key): whether there was a value.
static int delete (lua_State *L) {
  struct kept *k = check_kept(L, "delete");
  struct span key = shared_check_key(L, 2, "delete");
  return finish(L, begin(L, k, "delete", &key), push_done);
}

static int push_keys(lua_State *L, int status, lua_KContext index) {
  const struct store_call *c = call_at(L, index);
  size_t count = c->answers.count;
  (void)status;
  if (c->answer != STORE_OK) return push_refusal(L, c);
  struct span *list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
  for (size_t i = 0; i < count; i++) list[i] = words_at(&c->answers, i);
  qsort(list, count, sizeof *list, shared_compare_keys);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushlstring(L, list[i].bytes, list[i].len);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

// dictionary:keys([prefix]): a sorted list.
static int keys(lua_State *L) {
  struct kept *k = check_kept(L, "keys");
  struct span prefix = lua_isnoneornil(L, 2) ? SPAN("") : shared_check_key(L, 2, "keys");
  return finish(L, begin(L, k, "keys", &prefix), push_keys);
}

// dictionary:count(): how many values there are; dictionary:bytes(): what they take at the store.
static int count(lua_State *L) {
  return finish(L, begin(L, check_kept(L, "count"), "count", NULL), push_value);
}
static int bytes(lua_State *L) {
  return finish(L, begin(L, check_kept(L, "bytes"), "bytes", NULL), push_value);
}

static int to_string(lua_State *L) {
  struct kept *k = check_kept(L, "tostring");
  lua_pushliteral(L, "shared '");
  lua_pushlstring(L, k->name, k->len);
  lua_pushliteral(L, "'");
  lua_concat(L, 3);
  return 1;
}

void shared_store_push(lua_State *L, struct span name) {
  struct kept *k = lua_newuserdatauv(L, sizeof *k + name.len, 0);
  k->len = name.len;
  memcpy(k->name, name.bytes, name.len);
  luaL_setmetatable(L, META);
}

void lua_shared_store_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"get", get},       {"set", set},   {"add", entry_add}, {"incr", incr},
                                     {"cas", cas},       {"keys", keys}, {"count", count},   {"bytes", bytes},
                                     {"delete", delete}, {NULL, NULL}};
  class_new(L, META, methods, NULL);
  luaL_getmetatable(L, META);
  lua_pushcfunction(L, to_string);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}
