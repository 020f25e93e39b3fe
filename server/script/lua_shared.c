// SPDX-License-Identifier: MIT
// Arguments are checked before the dictionary is touched, and what it says is copied out of it before a value
// is pushed: no call into Lua ever happens under a lock. Within a state a dictionary has one handle at a
// time.
#include "script/bindings.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/nearest.h"
#include "event/broker.h"
#include "event/shared.h"
#include "script/class.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/vm.h"

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

// A string of at most 255 bytes.
static struct span check_key(lua_State *L, int index, const char *method) {
  struct span s = {0};
  if (lua_type(L, index) != LUA_TSTRING)
    raise_error(L, "shared:%s: expected a string as key, got %s", method, luaL_typename(L, index));
  s.bytes = lua_tolstring(L, index, &s.len);
  if (s.len > SHARED_KEY_MAX)
    raise_error(L, "shared:%s: a key of %zu bytes is longer than %d", method, s.len, SHARED_KEY_MAX);
  return s;
}

static struct shared_value check_number(lua_State *L, int index, const char *method, const char *what) {
  struct shared_value v = {.type = SHARED_FLOAT};
  if (lua_type(L, index) != LUA_TNUMBER)
    raise_error(L, "shared:%s: expected a number as %s, got %s", method, what, luaL_typename(L, index));
  if (lua_isinteger(L, index)) {
    v.type = SHARED_INTEGER;
    v.integer = lua_tointeger(L, index);
  } else v.number = lua_tonumber(L, index);
  if (v.type == SHARED_FLOAT && isnan(v.number))
    raise_error(L, "shared:%s: the %s is not a number (nan)", method, what);
  return v;
}

// A value; its string stays in its place on the stack.
static struct shared_value check_value(lua_State *L, int index, const char *method, bool may_be_nil) {
  struct shared_value v = {.type = SHARED_NIL};
  switch (lua_type(L, index)) {
  case LUA_TNUMBER: return check_number(L, index, method, "value");
  case LUA_TSTRING:
    v.type = SHARED_STRING;
    v.string.bytes = lua_tolstring(L, index, &v.string.len);
    return v;
  case LUA_TBOOLEAN:
    v.type = SHARED_BOOLEAN;
    v.boolean = lua_toboolean(L, index);
    return v;
  case LUA_TNIL:
  case LUA_TNONE:
    if (may_be_nil) return v;
  }
  raise_error(L, "shared:%s: expected a string, number or boolean as value, got %s%s", method,
              luaL_typename(L, index), lua_istable(L, index) ? "; json.encode makes a string of it" : "");
  return v;
}

struct options {
  double ttl;
  struct shared_value init;
};

static double check_ttl(lua_State *L, int index, const char *method) {
  if (lua_type(L, index) != LUA_TNUMBER)
    raise_error(L, "shared:%s: expected seconds as ttl, got %s", method, luaL_typename(L, index));
  double ttl = lua_tonumber(L, index);
  if (!(ttl > 0 && ttl <= 1e9))
    raise_error(L, "shared:%s: expected a ttl above 0 seconds, got %g", method, ttl);
  return ttl;
}

static void unknown_option(lua_State *L, const char *method, const char *const *names, size_t count) {
  const char *name = luaL_tolstring(L, -2, NULL), *close = nearest(name, names, count);
  if (close) raise_error(L, "shared:%s: unknown option '%s'; did you mean '%s'?", method, name, close);
  raise_error(L, "shared:%s: unknown option '%s'", method, name);
}

// The table of options at `index`, if there is one: the first `count` of "ttl" and "init" are known.
static void read_options(lua_State *L, int index, const char *method, size_t count, struct options *o) {
  static const char *const names[] = {"ttl", "init"};
  if (lua_isnoneornil(L, index)) return;
  if (!lua_istable(L, index))
    raise_error(L, "shared:%s: expected a table of options, got %s", method, luaL_typename(L, index));
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (!strcmp(name, "ttl")) o->ttl = check_ttl(L, lua_gettop(L), method);
    else if (count > 1 && !strcmp(name, "init")) o->init = check_number(L, lua_gettop(L), method, "init");
    else unknown_option(L, method, names, count);
  }
}

// true, false or nil, "full".
static int push_result(lua_State *L, enum shared_result result) {
  if (result == SHARED_FULL) return push_failure(L, "full");
  lua_pushboolean(L, result == SHARED_OK);
  return 1;
}

static void shared_value_push(lua_State *L, const struct shared_value *v) {
  switch (v->type) {
  case SHARED_NIL: lua_pushnil(L); break;
  case SHARED_STRING: lua_pushlstring(L, v->string.bytes, v->string.len); break;
  case SHARED_INTEGER: lua_pushinteger(L, v->integer); break;
  case SHARED_FLOAT: lua_pushnumber(L, v->number); break;
  case SHARED_BOOLEAN: lua_pushboolean(L, v->boolean); break;
  }
}

// dictionary:get(key): the value, or nil.
static int get(lua_State *L) {
  struct shared *d = check_shared(L, "get");
  struct span key = check_key(L, 2, "get");
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
  struct span key = check_key(L, 2, "set");
  struct shared_value v = check_value(L, 3, "set", true);
  struct options o = {.ttl = INFINITY};
  read_options(L, 4, "set", 1, &o);
  return push_result(L, shared_set(d, key, &v, o.ttl, time_now(L)));
}

// dictionary:add(key, value [, { ttl = }]): true; false where the key has a value; nil, "full".
static int entry_add(lua_State *L) {
  struct shared *d = check_shared(L, "add");
  struct span key = check_key(L, 2, "add");
  struct shared_value v = check_value(L, 3, "add", false);
  struct options o = {.ttl = INFINITY};
  read_options(L, 4, "add", 1, &o);
  return push_result(L, shared_add(d, key, &v, o.ttl, time_now(L)));
}

// dictionary:cas(key, old, new [, { ttl = }]): true; false where the value is not `old`; nil, "full". nil
// stands for no value in both. Without a ttl, the old value's time goes on.
static int cas(lua_State *L) {
  struct shared *d = check_shared(L, "cas");
  struct span key = check_key(L, 2, "cas");
  struct shared_value old = check_value(L, 3, "cas", true), v = check_value(L, 4, "cas", true);
  struct options o = {0};
  read_options(L, 5, "cas", 1, &o);
  return push_result(L, shared_cas(d, key, &old, &v, o.ttl, time_now(L)));
}

static const char *type_name(enum shared_type type) { return type == SHARED_STRING ? "string" : "boolean"; }

// dictionary:incr(key [, by = 1 [, { init = 0, ttl = }]]): the sum; nil, "full".
static int incr(lua_State *L) {
  struct shared *d = check_shared(L, "incr");
  struct span key = check_key(L, 2, "incr");
  struct shared_value v = {.type = SHARED_INTEGER, .integer = 1};
  struct options o = {.ttl = INFINITY, .init = {.type = SHARED_INTEGER}};
  if (!lua_isnoneornil(L, 3)) v = check_number(L, 3, "incr", "step");
  read_options(L, 4, "incr", 2, &o);
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
  struct span key = check_key(L, 2, "delete");
  lua_pushboolean(L, shared_delete(d, key, time_now(L)));
  return 1;
}

static int compare_spans(const void *a, const void *b) {
  const struct span *x = a, *y = b;
  int order = memcmp(x->bytes, y->bytes, MIN(x->len, y->len));
  return order ? order : (x->len > y->len) - (x->len < y->len);
}

// dictionary:keys([prefix]): a sorted list.
static int keys(lua_State *L) {
  struct shared *d = check_shared(L, "keys");
  struct span prefix = lua_isnoneornil(L, 2) ? SPAN("") : check_key(L, 2, "keys");
  struct buf *found = push_buf(L);
  size_t count = shared_keys(d, prefix, time_now(L), found);
  struct span *list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
  const char *at = found->bytes;
  for (size_t i = 0; i < count; at += list[i++].len) list[i].len = (unsigned char)*at++, list[i].bytes = at;
  qsort(list, count, sizeof *list, compare_spans);
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

// A store of several machines keeps channels only: two that count in a dictionary of their own would lose of
// each other's.
static void check_keeper(lua_State *L) {
  const struct service *s = vm_of(L)->service;
  if (s->broker->store && !s->shared->keeper)
    raise_error(L, "spate.shared: store: the store of the settings keeps no dictionaries; what several "
                   "machines share is kept by spate.redis");
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

// spate.shared(name [, { store = }]): the dictionary of this name. Upvalue 1 has the handles by name, weakly.
static int open_shared(lua_State *L) {
  struct vm *vm = vm_of(L);
  struct span name = check_name(L);
  bool is_kept = check_store(L);
  if (is_kept) check_keeper(L);
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
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, open_shared, 1);
  lua_setfield(L, -2, "shared");
  luaL_getmetatable(L, META);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "shared_methods"); // for hints
  lua_pop(L, 1);
}
