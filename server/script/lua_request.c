// SPDX-License-Identifier: MIT
// `req`: read what a client sent. What a getter keeps (params, query, headers, cookies, ctx) is in a table
// that is the userdata's one user value, with whatever fields a script sets itself.
#include <lauxlib.h>
#include "http/query.h"
#include "http/redact.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/lua_body.h"
#include "script/raise.h"
#include "script/request_getters.h"
#include "script/task.h"
#include "script/vm.h"

// With the user value's table on top, made where there is none.
static void push_own_table(lua_State *L) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1); // most handlers ask for one thing that is kept
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
}

// What is no longer known is nil, and the tables are empty.
static void getter_push(lua_State *L, const struct getter *g, struct exchange *ex) {
  if (g->always || (ex && ex->request)) g->push(L, ex);
  else if (g->is_open) lua_newtable(L);
  else lua_pushnil(L);
}

static int get_kept(lua_State *L, const struct getter *g, struct exchange *ex) {
  push_own_table(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  getter_push(L, g, ex);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, -4);
  return 1;
}

// req.name: a method or getter of ours, else what the script has set.
static int request_index(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(1));
  if (type == LUA_TFUNCTION) return 1;
  if (type == LUA_TNUMBER) {
    const struct getter *g = &getters[lua_tointeger(L, -1)];
    if (g->keeps) return get_kept(L, g, ex);
    getter_push(L, g, ex);
    return 1;
  }
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return lua_pushnil(L), 1;
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

static int request_newindex(lua_State *L) {
  exchange_check(L, 1);
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(1));
  if (type == LUA_TFUNCTION || (type == LUA_TNUMBER && !getters[lua_tointeger(L, -1)].is_open))
    return raise_error(L, "req.%s cannot be set; keep what is yours in req.ctx", luaL_tolstring(L, 2, NULL));
  push_own_table(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

static int request_tostring(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  if (!ex || !ex->request) return lua_pushliteral(L, "request (closed)"), 1;
  push_span(L, ex->request->method_name);
  lua_pushliteral(L, " ");
  luaL_Buffer b;
  struct span target = ex->request->target;
  char *out = luaL_buffinitsize(L, &b, redacted_max(target));
  luaL_pushresultsize(&b, redact_target(&ex->vm->settings->log.redact, target, out));
  lua_concat(L, 3);
  return 1;
}

// The request, or NULL with `nil, "closed"` pushed.
static const struct request *request_known(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  if (ex && ex->request) return ex->request;
  push_failure(L, "closed");
  return NULL;
}

static int request_query_all(lua_State *L) {
  const struct request *r = request_known(L);
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  if (!r) return 2;
  struct span query = r->query, name, value;
  lua_newtable(L);
  for (lua_Integer n = 0; query_next(&query, &name, &value);) {
    push_decoded(L, name);
    size_t name_len;
    const char *decoded = lua_tolstring(L, -1, &name_len);
    bool same = span_equal((struct span){decoded, name_len}, (struct span){wanted, len});
    lua_pop(L, 1);
    if (!same) continue;
    push_decoded(L, value);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

static int request_header_all(lua_State *L) {
  const struct request *r = request_known(L);
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  if (!r) return 2;
  lua_newtable(L);
  for (size_t i = 0, n = 0; i < r->field_count; i++)
    if (span_equal_nocase(r->fields[i].name, (struct span){wanted, len})) {
      push_span(L, r->fields[i].value);
      lua_rawseti(L, -2, (lua_Integer)++n);
    }
  return 1;
}

// req:on_close(fn(reason)): fn runs as a task once the exchange is over, at once where it is over already.
static int request_on_close(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (!ex || !ex->stream) {
    lua_pushvalue(L, 2);
    lua_pushstring(L, close_reason_name(ex ? ex->reason : REASON_FINISHED));
    task_follow(L, 1, NULL);
    return 0;
  }
  push_own_table(L);
  if (lua_rawgetp(L, -1, close_reason_name) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -4, close_reason_name);
  }
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  if (ex->anchor == LUA_NOREF) {
    lua_pushvalue(L, 1);
    ex->anchor = vm_ref(L);
  }
  return 0;
}

// req:close_after(seconds): an event stream ends, cleanly, once they have passed, and the one before it at
// the latest.
static int request_close_after(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  double seconds = lua_tonumber(L, 2);
  if (lua_type(L, 2) != LUA_TNUMBER || !(seconds >= 0))
    return raise_error(L, "req:close_after: expected 0 or more seconds, got %s", push_shown(L, 2));
  if (ex && ex->stream) stream_end_at(ex->stream, loop_time(ex->vm->loop) + seconds);
  return 0;
}

// core.closers(req): the functions given to on_close, in their order, or nil.
int request_closers(lua_State *L) {
  exchange_check(L, 1);
  push_own_table(L);
  lua_rawgetp(L, -1, close_reason_name);
  return 1;
}

static void fill_index(lua_State *L) {
  for (size_t i = 0; i < GETTER_COUNT; i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_setfield(L, -2, getters[i].name);
  }
}

void request_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"body", request_body},
                                     {"chunks", request_chunks},
                                     {"query_all", request_query_all},
                                     {"header_all", request_header_all},
                                     {"on_close", request_on_close},
                                     {"close_after", request_close_after},
                                     {NULL, NULL}};
  request_getters_open(L);
  request_box_meta(L);
  luaL_newlib(L, methods);
  fill_index(L);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, request_index, 1);
  lua_setfield(L, -3, "__index");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, request_newindex, 1);
  lua_setfield(L, -3, "__newindex");
  lua_pushcfunction(L, request_tostring);
  lua_setfield(L, -3, "__tostring");
  lua_remove(L, -2);
}
