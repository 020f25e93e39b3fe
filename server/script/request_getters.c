// SPDX-License-Identifier: MIT
// What `req.name` reads of a request, pushed on Lua's stack: each value on its own, none of them kept here.
#include "script/request_getters.h"
#include <lauxlib.h>
#include <sys/random.h>
#include "http/forwarded.h"
#include "http/query.h"
#include "http/trace_context.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/lua_router.h"
#include "script/raise.h"
#include "script/vm.h"
#include "serve/access.h"

static void push_params(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->request;
  struct route_match match = {0};
  char *scratch = lua_newuserdatauv(L, r->path.len + 1, 0);
  lua_newtable(L);
  if (router_match(ex->vm->router, router_method(ex->vm->router, r->method_name), r->path, scratch, &match) ==
      ROUTE_FOUND)
    for (size_t i = 0; i < match.param_count; i++) {
      push_span(L, match.names[i]);
      push_span(L, match.values[i]);
      lua_rawset(L, -3);
    }
  lua_remove(L, -2);
}

void push_decoded(lua_State *L, struct span in) {
  if (!in.len || (!memchr(in.bytes, '%', in.len) && !memchr(in.bytes, '+', in.len))) {
    push_span(L, in);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, in.len);
  long len = percent_decode(in, true, out);
  if (len >= 0) luaL_pushresultsize(&b, (size_t)len);
  else { // not decodable: byte for byte
    memcpy(out, in.bytes, in.len);
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
  struct span query = ex->request->query, name, value;
  lua_createtable(L, 0, query.len ? 1 : 0);
  int table = lua_gettop(L);
  for (bool any = false; query_next(&query, &name, &value); any = true) {
    push_decoded(L, name);
    push_decoded(L, value);
    if (any) set_first(L, table);
    else lua_rawset(L, table);
  }
}

static void push_cookies(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->request;
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
  const struct request *r = ex->request;
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

static void push_method(lua_State *L, struct exchange *ex) { push_span(L, ex->request->method_name); }
static void push_path(lua_State *L, struct exchange *ex) { push_span(L, ex->request->path); }
static void push_host(lua_State *L, struct exchange *ex) { push_span(L, forwarded_host(ex->request)); }

static void push_scheme(lua_State *L, struct exchange *ex) { push_span(L, forwarded_scheme(ex->request)); }

static void push_url(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->request;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  struct span scheme = forwarded_scheme(r), host = forwarded_host(r);
  luaL_addlstring(&b, scheme.bytes, scheme.len);
  luaL_addstring(&b, "://");
  luaL_addlstring(&b, host.bytes ? host.bytes : "", host.len);
  if (r->path.bytes[0] == '/') luaL_addlstring(&b, r->path.bytes, r->path.len); // not the "*" of OPTIONS
  if (r->query.len) luaL_addchar(&b, '?'), luaL_addlstring(&b, r->query.bytes, r->query.len);
  luaL_pushresult(&b);
}

static void push_remote_addr(lua_State *L, struct exchange *ex) {
  char peer[ADDRESS_TEXT_MAX];
  if (!ex->stream) {
    lua_pushnil(L);
    return;
  }
  lua_pushlstring(L, peer, access_client(ex->stream, peer));
}

// The names of a client's certificate are of a table in it; there may be several of one.
static void set_tls(lua_State *L, int table, struct span name, struct span value) {
  bool is_flag = span_equal(name, SPAN("verified")) || span_equal(name, SPAN("resumed"));
  push_span(L, name);
  if (is_flag) lua_pushboolean(L, value.len > 0);
  else push_span(L, value);
  lua_rawset(L, table);
}

// In the order in which transport_tls_describe has them: what is of the client begins with its subject.
static void push_described(lua_State *L, struct span rest) {
  lua_newtable(L);
  int table = lua_gettop(L);
  while (rest.len) {
    struct span name = span_split(&rest, 0), value = span_split(&rest, 0);
    if (span_equal(name, SPAN("subject"))) {
      lua_createtable(L, 0, 5);
      lua_pushvalue(L, -1);
      lua_setfield(L, table, "client");
      lua_newtable(L);
      lua_setfield(L, -2, "san");
    }
    int at = lua_gettop(L);
    if (!span_equal(name, SPAN("san"))) {
      set_tls(L, at, name, value);
      continue;
    }
    lua_getfield(L, at, "san");
    push_span(L, value);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
  }
  lua_settop(L, table);
}

static void push_tls(lua_State *L, struct exchange *ex) {
  struct buf *described = push_buf(L);
  if (ex->stream && ex->stream->carrier->ops->describe_tls(ex->stream->carrier, described))
    push_described(L, buf_span(described));
  else lua_pushnil(L);
  lua_remove(L, -2);
}

static void push_route(lua_State *L, struct exchange *ex) { lua_router_pattern(L, ex->route); }

static void push_closed(lua_State *L, struct exchange *ex) { lua_pushboolean(L, !ex || !ex->stream); }

static void push_new_table(lua_State *L, struct exchange *ex) {
  (void)ex;
  lua_newtable(L);
}

// A random number in the form of a trace-id, so that it can stand for one.
static void push_id(lua_State *L, struct exchange *ex) {
  (void)ex;
  unsigned char bytes[TRACE_ID_LEN / 2];
  char text[TRACE_ID_LEN];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) raise_error(L, "the kernel has no random bytes");
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = "0123456789abcdef"[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
  lua_pushlstring(L, text, sizeof text);
}

static void push_trace_id(lua_State *L, struct exchange *ex) {
  struct trace_context c;
  if (ex && ex->request && trace_context_read(ex->request, &c)) push_span(L, c.trace_id);
  else lua_getfield(L, 1, "id");
}

// The header, else one of the two query parameters that clients without headers of their own use; "" is none.
static void push_last_event_id(lua_State *L, struct exchange *ex) {
  const struct request *r = ex->request;
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

const struct getter getters[GETTER_COUNT] = {
    {.name = "method", .push = push_method},
    {.name = "path", .push = push_path},
    {.name = "route", .push = push_route},
    {.name = "host", .push = push_host},
    {.name = "scheme", .push = push_scheme},
    {.name = "tls", .push = push_tls, .keeps = true},
    {.name = "url", .push = push_url},
    {.name = "last_event_id", .push = push_last_event_id},
    {.name = "closed", .push = push_closed, .always = true},
    {.name = "remote_addr", .push = push_remote_addr, .keeps = true},
    {.name = "id", .push = push_id, .keeps = true, .always = true},
    {.name = "trace_id", .push = push_trace_id, .keeps = true, .always = true},
    {.name = "params", .push = push_params, .keeps = true, .is_open = true},
    {.name = "query", .push = push_query, .keeps = true, .is_open = true},
    {.name = "headers", .push = push_headers, .keeps = true, .is_open = true},
    {.name = "cookies", .push = push_cookies, .keeps = true, .is_open = true},
    {.name = "ctx", .push = push_new_table, .keeps = true, .is_open = true, .always = true}};

void request_getters_open(lua_State *L) {
  luaL_newmetatable(L, "spate.headers");
  lua_pushcfunction(L, header_missing);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
