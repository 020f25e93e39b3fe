// SPDX-License-Identifier: MIT
// `req`: read what a client sent. Tables (params, query, headers, cookies, ctx) are made when first asked for
// and kept in the userdata's one user value, with whatever fields a script sets itself.
#include <lauxlib.h>
#include <stdlib.h>
#include "base/mem.h"
#include "http/query.h"
#include "script/exchange.h"
#include "script/task.h"
#include "script/vm.h"
#include "serve/conn.h"

static void push_span(lua_State *L, struct span s) { lua_pushlstring(L, s.bytes ? s.bytes : "", s.len); }

static void push_params(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->stream->request;
  struct route_match match = {0};
  char *scratch = lua_newuserdatauv(L, r->path.len + 1, 0);
  lua_newtable(L);
  if (router_match(ex->vm->router, r->method, r->path, scratch, &match) == ROUTE_FOUND)
    for (size_t i = 0; i < match.param_count; i++) {
      push_span(L, match.names[i]);
      push_span(L, match.values[i]);
      lua_rawset(L, -3);
    }
  lua_remove(L, -2);
}

static void push_decoded(lua_State *L, struct span in) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, in.len);
  long len = percent_decode(in, true, out);
  if (len >= 0) luaL_pushresultsize(&b, (size_t)len);
  else { // not decodable: byte for byte
    if (in.len) memcpy(out, in.bytes, in.len);
    luaL_pushresultsize(&b, in.len);
  }
}

// Sets table[key] = value from the two on top, unless the key is there: the first wins.
static void set_first(lua_State *L, int table) {
  lua_pushvalue(L, -2);
  if (lua_rawget(L, table) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawset(L, table);
  } else lua_pop(L, 3);
}

static void push_query(lua_State *L, struct exchange *ex) {
  struct span query = ex->stream->request->query, name, value;
  lua_newtable(L);
  int table = lua_gettop(L);
  while (query_next(&query, &name, &value)) {
    push_decoded(L, name);
    push_decoded(L, value);
    set_first(L, table);
  }
}

static void push_cookies(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->stream->request;
  lua_newtable(L);
  int table = lua_gettop(L);
  for (size_t i = 0; i < r->field_count; i++) {
    struct span cookies = r->fields[i].value, name, value;
    if (!span_equal(r->fields[i].name, SPAN("cookie"))) continue;
    while (cookie_next(&cookies, &name, &value)) {
      push_span(L, name);
      push_span(L, value);
      set_first(L, table);
    }
  }
}

// Lower-cases the key of a header look-up that found nothing.
static int header_missing(lua_State *L) {
  size_t len;
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *name = lua_tolstring(L, 2, &len);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, len);
  for (size_t i = 0; i < len; i++) out[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 32) : name[i];
  luaL_pushresultsize(&b, len);
  lua_rawget(L, 1);
  return 1;
}

// Several fields of one name are one value, joined with a comma (RFC 9110 5.3), cookies with a semicolon.
static void push_headers(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->stream->request;
  lua_newtable(L);
  int table = lua_gettop(L);
  for (size_t i = 0; i < r->field_count; i++) {
    push_span(L, r->fields[i].name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, table) == LUA_TNIL) {
      lua_pop(L, 1);
      push_span(L, r->fields[i].value);
    } else {
      lua_pushstring(L, span_equal(r->fields[i].name, SPAN("cookie")) ? "; " : ", ");
      push_span(L, r->fields[i].value);
      lua_concat(L, 3);
    }
    lua_rawset(L, table);
  }
  luaL_setmetatable(L, "spate.headers");
}

static void push_new_table(lua_State *L, struct exchange *ex) {
  (void)ex;
  lua_newtable(L);
}

// The tables, kept once made.
static const struct {
  const char *name;
  void (*push)(lua_State *L, struct exchange *ex);
} kept[] = {{"params", push_params},
            {"query", push_query},
            {"headers", push_headers},
            {"cookies", push_cookies},
            {"ctx", push_new_table}};

static void push_method(lua_State *L, struct exchange *ex) {
  push_span(L, method_name(ex->stream->request->method));
}
static void push_path(lua_State *L, struct exchange *ex) { push_span(L, ex->stream->request->path); }
static void push_host(lua_State *L, struct exchange *ex) { push_span(L, ex->stream->request->host); }
static void push_scheme(lua_State *L, struct exchange *ex) { (void)ex, lua_pushliteral(L, "http"); }

static void push_url(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->stream->request;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "http://");
  luaL_addlstring(&b, r->host.bytes ? r->host.bytes : "", r->host.len);
  luaL_addlstring(&b, r->path.bytes, r->path.len);
  if (r->query.len) luaL_addchar(&b, '?'), luaL_addlstring(&b, r->query.bytes, r->query.len);
  luaL_pushresult(&b);
}

static void push_remote_addr(lua_State *L, struct exchange *ex) {
  struct transport *t = ex->stream->conn->transport;
  char peer[64];
  lua_pushlstring(L, peer, t->ops->peer(t, peer, sizeof peer));
}

// The header, else one of the two query parameters that clients without headers of their own use; "" is none.
static void push_last_event_id(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->stream->request;
  struct span id = request_field(r, SPAN("last-event-id")), query = r->query, name, value;
  if (id.len) {
    push_span(L, id);
    return;
  }
  while (query_next(&query, &name, &value))
    if ((span_equal(name, SPAN("last_event_id")) || span_equal(name, SPAN("lastEventId"))) && value.len) {
      push_decoded(L, value);
      return;
    }
  lua_pushnil(L);
}

static const struct {
  const char *name;
  void (*push)(lua_State *L, struct exchange *ex);
} read_only[] = {{"method", push_method},
                 {"path", push_path},
                 {"host", push_host},
                 {"scheme", push_scheme},
                 {"url", push_url},
                 {"remote_addr", push_remote_addr},
                 {"last_event_id", push_last_event_id}};

enum { KEPT = 1 << 8 }; // getters are known to the index table by number

// With the user value's table on top, made where there is none.
static void push_own_table(lua_State *L) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
}

static int get_kept(lua_State *L, struct exchange *ex, int which) {
  push_own_table(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  if (!ex || !ex->stream) lua_newtable(L);
  else kept[which].push(L, ex);
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
    int which = (int)lua_tointeger(L, -1);
    if (which >= KEPT) return get_kept(L, ex, which - KEPT);
    if (!ex || !ex->stream) return lua_pushnil(L), 1;
    read_only[which].push(L, ex);
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
  if (type == LUA_TFUNCTION || (type == LUA_TNUMBER && lua_tointeger(L, -1) < KEPT))
    return raise_error(L, "req.%s cannot be set; keep what is yours in req.ctx", luaL_tolstring(L, 2, NULL));
  push_own_table(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

static int request_tostring(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  if (!ex || !ex->stream) return lua_pushliteral(L, "request (closed)"), 1;
  const struct request *r = ex->stream->request;
  push_span(L, method_name(r->method));
  lua_pushliteral(L, " ");
  push_span(L, r->target);
  lua_concat(L, 3);
  return 1;
}

// req:body([max]): the whole body, waiting for it; nil, "too large" above max bytes; nil, "closed".
static int body_arrived(lua_State *L, int status, lua_KContext max) {
  (void)status;
  struct exchange *ex = exchange_open(L, 1);
  if (!ex) return 2;
  if (!ex->stream->body_done) return exchange_wait(L, ex, "req:body", max, body_arrived);
  if (ex->stream->body.len > (size_t)max) return lua_pushnil(L), lua_pushliteral(L, "too large"), 2;
  push_span(L, buf_span(&ex->stream->body));
  return 1;
}

static int request_body(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  lua_Integer max = luaL_optinteger(L, 2, LUA_MAXINTEGER);
  if (!ex) return 2;
  stream_want_body(ex->stream);
  return body_arrived(L, LUA_OK, (lua_KContext)max);
}

static int request_query_all(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  if (!ex) return 2;
  struct span query = ex->stream->request->query, name, value;
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
  struct exchange *ex = exchange_open(L, 1);
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  if (!ex) return 2;
  const struct request *r = ex->stream->request;
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
    task_spawn(L, 1, NULL);
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

// core.closers(req): the functions given to on_close, in their order, or nil.
int request_closers(lua_State *L) {
  exchange_check(L, 1);
  push_own_table(L);
  lua_rawgetp(L, -1, close_reason_name);
  return 1;
}

static void fill_index(lua_State *L) {
  for (size_t i = 0; i < countof(read_only); i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_setfield(L, -2, read_only[i].name);
  }
  for (size_t i = 0; i < countof(kept); i++) {
    lua_pushinteger(L, (lua_Integer)i + KEPT);
    lua_setfield(L, -2, kept[i].name);
  }
}

void request_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"body", request_body},
                                     {"query_all", request_query_all},
                                     {"header_all", request_header_all},
                                     {"on_close", request_on_close},
                                     {NULL, NULL}};
  luaL_newmetatable(L, "spate.headers");
  lua_pushcfunction(L, header_missing);
  lua_setfield(L, -2, "__index");
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
  lua_replace(L, -3);
  lua_pop(L, 1);
}
