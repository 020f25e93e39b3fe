// SPDX-License-Identifier: MIT
// Arguments are checked before the dictionary is touched, and what it says is copied out of it before a value
// is pushed: no call into Lua ever happens under a lock. Within a state a dictionary has one handle at a
// time.
#include "script/bindings.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/broker.h"
#include "event/shared.h"
#include "script/class.h"
#include "script/held.h"
#include "script/lua_shared_store.h"
#include "script/raise.h"
#include "script/shared_arguments.h"
#include "script/vm.h"
#include "store/store_call.h"

enum { SCRATCH_KEPT = 64 << 10 };

static const char META[] = "spate.shared";

struct handle {
  struct held held;
  struct shared *dictionary;
};

static double time_now(lua_State *L) { return clock_now(vm_of(L)->loop->clock); }

static struct shared *check_shared(lua_State *L, const char *method) {
  struct held **box = luaL_testudata(L, 1, META);
  if (!box || !*box)
    raise_error(L, "shared:%s: expected a dictionary before it, as in dictionary:%s(...), got %s", method,
                method, luaL_typename(L, 1));
  return container_of(*box, struct handle, held)->dictionary;
}

// true, false or nil, "full".
static int push_result(lua_State *L, enum shared_result result) {
  if (result == SHARED_FULL) return push_failure(L, "full");
  lua_pushboolean(L, result == SHARED_OK);
  return 1;
}

// dictionary:get(key): the value, or nil.
static int get(lua_State *L) {
  struct shared *d = check_shared(L, "get");
  struct span key = shared_check_key(L, 2, "get");
  struct buf *scratch = &vm_of(L)->scratch;
  struct shared_value v;
  buf_reset(scratch, SCRATCH_KEPT);
  shared_get(d, key, time_now(L), &v, scratch);
  shared_value_push(L, &v);
  if (v.type == SHARED_STRING && v.string.len > SCRATCH_KEPT) buf_reset(scratch, SCRATCH_KEPT);
  return 1;
}

// dictionary:set(key, value [, { ttl = }]): true; nil, "full". nil deletes.
static int set(lua_State *L) {
  struct shared *d = check_shared(L, "set");
  struct span key = shared_check_key(L, 2, "set");
  struct shared_value v = shared_check_value(L, 3, "set", true);
  struct shared_arguments o = {.ttl = INFINITY};
  shared_read_options(L, 4, "set", 1, &o);
  return push_result(L, shared_set(d, key, &v, o.ttl, time_now(L)));
}

// dictionary:add(key, value [, { ttl = }]): true; false where the key has a value; nil, "full".
static int entry_add(lua_State *L) {
  struct shared *d = check_shared(L, "add");
  struct span key = shared_check_key(L, 2, "add");
  struct shared_value v = shared_check_value(L, 3, "add", false);
  struct shared_arguments o = {.ttl = INFINITY};
  shared_read_options(L, 4, "add", 1, &o);
  return push_result(L, shared_add(d, key, &v, o.ttl, time_now(L)));
}

// dictionary:cas(key, old, new [, { ttl = }]): true; false where the value is not `old`; nil, "full". nil
// stands for no value in both. Without a ttl, the old value's time goes on.
static int cas(lua_State *L) {
  struct shared *d = check_shared(L, "cas");
  struct span key = shared_check_key(L, 2, "cas");
  struct shared_value old = shared_check_value(L, 3, "cas", true), v = shared_check_value(L, 4, "cas", true);
  struct shared_arguments o = {0};
  shared_read_options(L, 5, "cas", 1, &o);
  return push_result(L, shared_cas(d, key, &old, &v, o.ttl, time_now(L)));
}

static const char *type_name(enum shared_type type) { return type == SHARED_STRING ? "string" : "boolean"; }

// dictionary:incr(key [, by = 1 [, { init = 0, ttl = }]]): the sum; nil, "full".
static int incr(lua_State *L) {
  struct shared *d = check_shared(L, "incr");
  struct span key = shared_check_key(L, 2, "incr");
  struct shared_value v = {.type = SHARED_INTEGER, .integer = 1};
  struct shared_arguments o = {.ttl = INFINITY, .init = {.type = SHARED_INTEGER}};
  if (!lua_isnoneornil(L, 3)) v = shared_check_number(L, 3, "incr", "step");
  shared_read_options(L, 4, "incr", 2, &o);
  switch (shared_incr(d, key, &v, &o.init, o.ttl, time_now(L))) {
  case SHARED_FULL: return push_failure(L, "full");
  case SHARED_NOT_NUMBER:
    return raise_error(L, "shared:incr: '%s' holds a %s, not a number", key.bytes, type_name(v.type));
  case SHARED_NAN: return raise_error(L, "shared:incr: the sum for '%s' is not a number (nan)", key.bytes);
  default: shared_value_push(L, &v); return 1;
  }
}

// dictionary:delete(key): whether there was a value.
static int delete (lua_State *L) {
  struct shared *d = check_shared(L, "delete");
  struct span key = shared_check_key(L, 2, "delete");
  lua_pushboolean(L, shared_delete(d, key, time_now(L)));
  return 1;
}

// dictionary:keys([prefix]): a sorted list.
static int keys(lua_State *L) {
  struct shared *d = check_shared(L, "keys");
  struct span prefix = lua_isnoneornil(L, 2) ? SPAN("") : shared_check_key(L, 2, "keys");
  struct buf *found = push_buf(L);
  size_t count = shared_keys(d, prefix, time_now(L), found);
  struct span *list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
  const char *at = found->bytes;
  for (size_t i = 0; i < count; at += list[i++].len) list[i].len = (unsigned char)*at++, list[i].bytes = at;
  qsort(list, count, sizeof *list, shared_compare_keys);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushlstring(L, list[i].bytes, list[i].len);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  buf_deinit(found);
  return 1;
}

// dictionary:count(): how many values there are.
static int count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)shared_count(check_shared(L, "count"), time_now(L)));
  return 1;
}

// dictionary:bytes(): what they count against limits.shared.
static int bytes(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)shared_bytes(check_shared(L, "bytes"), time_now(L)));
  return 1;
}

static int to_string(lua_State *L) {
  struct span name = shared_name(check_shared(L, "tostring"));
  lua_pushliteral(L, "shared '");
  lua_pushlstring(L, name.bytes, name.len);
  lua_pushliteral(L, "'");
  lua_concat(L, 3);
  return 1;
}

static void handle_drop(struct vm *vm, struct held *held) {
  struct handle *h = container_of(held, struct handle, held);
  shared_unref(h->dictionary, clock_now(vm->loop->clock));
  free(h);
}

static struct span check_name(lua_State *L) {
  struct span name = {0};
  if (lua_type(L, 1) != LUA_TSTRING) raise_type(L, 1, "spate.shared", "a name as a string");
  name.bytes = lua_tolstring(L, 1, &name.len);
  if (!name.len || name.len > SHARED_NAME_MAX)
    raise_error(L, "spate.shared: expected a name of 1 to %d bytes, got one of %zu", SHARED_NAME_MAX,
                name.len);
  return name;
}

// Whether the store has the dictionaries that are to be kept, and not the process.
static bool is_of_store(lua_State *L) {
  const struct service *s = vm_of(L)->service;
  if (s->broker->store && !s->shared->keeper && !store_takes_calls(s->broker->store))
    raise_error(L, "spate.shared: store: the store of the settings keeps no dictionaries");
  return store_takes_calls(s->broker->store);
}

// The options of spate.shared: whether it is to be kept.
static bool check_store(lua_State *L) {
  static const char *const names[] = {"store"};
  bool is_kept = false;
  if (lua_isnoneornil(L, 2)) return false;
  if (!lua_istable(L, 2)) raise_type(L, 2, "spate.shared", "a table of options");
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(name, names[0]) != 0)
      raise_error(L, "spate.shared: unknown option '%s'; there is 'store'", name);
    if (!lua_isboolean(L, -1))
      raise_error(L, "spate.shared: store: expected true or false, got %s", luaL_typename(L, -1));
    is_kept = lua_toboolean(L, -1);
  }
  return is_kept;
}

// spate.shared(name [, { store = }]): the dictionary of this name. Upvalue 1 has the handles by name, weakly,
// of those that the process has.
static int open_shared(lua_State *L) {
  struct vm *vm = vm_of(L);
  struct span name = check_name(L);
  bool is_kept = check_store(L);
  if (is_kept && is_of_store(L)) {
    shared_store_push(L, name);
    return 1;
  }
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TUSERDATA) {
    if (is_kept)
      shared_keep(container_of(*(struct held **)lua_touserdata(L, -1), struct handle, held)->dictionary);
    return 1;
  }
  struct held **box = held_push(L, META, 0);
  struct shared *d = shared_open(vm->service->shared, name, time_now(L));
  if (!d)
    return raise_error(L, "spate.shared: no room for another dictionary within limits.shared (%zu bytes)",
                       vm->settings->limits.shared);
  if (is_kept) shared_keep(d);
  struct handle *h = xmalloc(sizeof *h);
  h->dictionary = d;
  held_put(L, box, &h->held, handle_drop);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(1));
  return 1;
}

// core.dictionary_of_nodes(name): one that the store keeps for several machines; nil where it is one
// process's.
static int dictionary_of_nodes(lua_State *L) {
  if (!store_takes_calls(vm_of(L)->service->broker->store)) return 0;
  shared_store_push(L, check_name(L));
  return 1;
}

static void new_metatables(lua_State *L) {
  static const luaL_Reg methods[] = {{"get", get},       {"set", set},   {"add", entry_add}, {"incr", incr},
                                     {"cas", cas},       {"keys", keys}, {"count", count},   {"bytes", bytes},
                                     {"delete", delete}, {NULL, NULL}};
  class_new(L, META, methods, held_collect);
  luaL_getmetatable(L, META);
  lua_pushcfunction(L, to_string);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}

void lua_shared_open(lua_State *L) {
  new_metatables(L);
  lua_shared_store_open(L);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, open_shared, 1);
  lua_setfield(L, -2, "shared");
  lua_pushcfunction(L, dictionary_of_nodes);
  lua_setfield(L, -2, "dictionary_of_nodes");
  luaL_getmetatable(L, META);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "shared_methods"); // for hints
  lua_pop(L, 1);
}
