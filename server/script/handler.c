// SPDX-License-Identifier: MIT
// Most handlers have no hook and no middleware around them and return a string or a text. Such an answer
// needs nothing of the library, whose way for all cases takes four times the instructions of the handler.
#include "script/handler.h"
#include <lauxlib.h>
#include "script/exchange.h"
#include "script/lua_stream.h"
#include "script/vm.h"

enum { REQUEST = 1, ON_RAISE, VALUE }; // where they lie on the stack while a plain handler runs

static int after_call(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 0;
}

// `answer(request, route, allowed)` of the library, with the request on the stack.
static int call_library(lua_State *L, const struct exchange *ex) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ex->vm->answer_ref);
  lua_insert(L, REQUEST);
  lua_pushinteger(L, ex->route);
  lua_pushinteger(L, ex->allowed);
  lua_callk(L, 3, 0, 0, after_call);
  return 0;
}

// What a handler has done. EXPLAINED: it has returned nil and a message, which alone is on the stack.
enum outcome { RAISED, RETURNED, EXPLAINED };

// `complete(request, value, route, ok)` of the library; `ok` is nil where the handler explained. What stays
// on the stack costs every stream that waits: a few slots decide whether Lua halves it.
static int call_complete(lua_State *L, const struct exchange *ex, enum outcome outcome) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, ex->vm->complete_ref);
  lua_replace(L, ON_RAISE);
  lua_rotate(L, REQUEST, -1);
  lua_insert(L, REQUEST + 1);
  lua_pushinteger(L, ex->route);
  if (outcome == EXPLAINED) lua_pushnil(L);
  else lua_pushboolean(L, outcome == RETURNED);
  lua_callk(L, 4, 0, 0, after_call);
  return 0;
}

static int push_member(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  return lua_rawget(L, VALUE);
}

static bool is_reply(lua_State *L, const struct vm *vm) {
  if (!lua_getmetatable(L, VALUE)) return false;
  bool is = lua_topointer(L, -1) == vm->reply_meta;
  lua_pop(L, 1);
  return is;
}

// Arranges what core.answer takes where the value is a reply with a text for its body; `_error` may become
// JSON.
static bool take_reply(lua_State *L) {
  if (push_member(L, "_body") != LUA_TSTRING || push_member(L, "_error") != LUA_TNIL) return false;
  lua_pop(L, 1);
  push_member(L, "_fields");
  push_member(L, "_compress");
  push_member(L, "_status");
  lua_replace(L, 2);
  push_member(L, "_type");
  lua_replace(L, 3);
  return true;
}

static void take_text(lua_State *L) {
  lua_pushinteger(L, 200);
  lua_replace(L, 2);
  lua_pushliteral(L, "text/plain; charset=utf-8");
  lua_insert(L, 3);
}

static bool answer_by_itself(lua_State *L, const struct exchange *ex) {
  int type = lua_type(L, VALUE);
  if (ex->finishes) return false;
  if (type == LUA_TSTRING) take_text(L);
  else if (type != LUA_TTABLE || !is_reply(L, ex->vm) || !take_reply(L)) return false;
  core_answer(L);
  return true;
}

static int handled(lua_State *L, int status, lua_KContext context) {
  const struct exchange *ex = (const struct exchange *)context; // which the request holds
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (ok && lua_isnil(L, VALUE) && lua_type(L, VALUE + 1) == LUA_TSTRING) {
    lua_remove(L, VALUE);
    return call_complete(L, ex, EXPLAINED);
  }
  lua_settop(L, VALUE);
  if (ok && answer_by_itself(L, ex)) return 0;
  lua_settop(L, VALUE);
  return call_complete(L, ex, ok ? RETURNED : RAISED);
}

int handler_answer(lua_State *L) {
  struct exchange *ex = lua_touserdata(L, 1);
  lua_settop(L, 0);
  exchange_push(L, ex);
  lua_rawgeti(L, LUA_REGISTRYINDEX, ex->vm->plain_ref);
  if (ex->route <= 0 || lua_rawgeti(L, ON_RAISE, ex->route) != LUA_TFUNCTION) {
    lua_settop(L, REQUEST);
    return call_library(L, ex);
  }
  lua_rawgeti(L, ON_RAISE, 0);
  lua_replace(L, ON_RAISE);
  lua_pushvalue(L, REQUEST);
  return handled(L, vm_call_in_task(L, ON_RAISE, (lua_KContext)ex, handled), (lua_KContext)ex);
}

int core_plain_routes(lua_State *L) {
  struct vm *vm = vm_of(L);
  lua_settop(L, 5);
  vm->places_ref = vm_ref(L);
  vm->complete_ref = vm_ref(L);
  vm->reply_meta = lua_topointer(L, 3); // the library's module keeps it
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, vm_xpcall_handler, 1);
  lua_rawseti(L, 1, 0);
  lua_settop(L, 1);
  vm->plain_ref = vm_ref(L);
  return 0;
}

int core_finishes(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  if (ex) ex->finishes = true;
  return 0;
}
