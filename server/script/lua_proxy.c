// SPDX-License-Identifier: MIT
// The fields go from the client's head straight into the other server's request. All that is made on the way
// lies in one block of Lua's memory, so that whatever is raised loses nothing.
#include "script/lua_proxy.h"
#include <lauxlib.h>
#include "http/beneath.h"
#include "http/forwarded.h"
#include "http/hop_by_hop.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/lua_router.h"
#include "script/raise.h"
#include "script/upstream.h"
#include "serve/access.h"

static const char ORIGIN[] = "spate.origin";
enum { PROXY_FIELDS_MAX = 96 };

// What the other server is asked with.
struct asked {
  struct field fields[PROXY_FIELDS_MAX];
  size_t count;
  bool is_full;                         // there were more
  struct field given[PROXY_FIELDS_MAX]; // value.bytes NULL: the client's is left out
  size_t given_count;
  char *at; // room for what is made
};

static int origin_collect(lua_State *L) {
  struct fetch_origin *o = lua_touserdata(L, 1);
  fetch_origin_deinit(o);
  *o = (struct fetch_origin){0};
  return 0;
}

static int proxy_origin(lua_State *L) {
  struct span url;
  url.bytes = luaL_checklstring(L, 1, &url.len);
  struct fetch_origin *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (struct fetch_origin){0};
  luaL_setmetatable(L, ORIGIN);
  if (!fetch_origin_parse(o, url)) lua_pushnil(L);
  return 1;
}

static void put(struct asked *a, const void *bytes, size_t len) {
  if (len) memcpy(a->at, bytes, len);
  a->at += len;
}

static bool is_given(const struct asked *a, struct span name) {
  for (size_t i = 0; i < a->given_count; i++)
    if (span_equal_nocase(a->given[i].name, name)) return true;
  return false;
}

static void add_field(struct asked *a, struct span name, struct span value) {
  a->is_full |= a->count == PROXY_FIELDS_MAX;
  if (a->is_full) return;
  if (!value.bytes) value = SPAN("");
  a->fields[a->count++] = (struct field){name, value};
}

static void add_own(struct asked *a, struct span name, struct span value) {
  if (!is_given(a, name)) add_field(a, name, value);
}

// The same name to programs behind CGI or WSGI, to which "-" and "_" are one.
static bool is_alike(struct span name, const char *ours) {
  size_t len = strlen(ours);
  if (name.len != len) return false;
  for (size_t i = 0; i < len; i++)
    if (name.bytes[i] != ours[i] && !(name.bytes[i] == '_' && ours[i] == '-')) return false;
  return true;
}

// What a client may not say, or what is of its connection to us; "proxy" is what a CGI program takes for its
// environment.
static bool is_not_theirs(struct span name) {
  static const char *const names[] = {"host",
                                      "expect",
                                      "date",
                                      "forwarded",
                                      "proxy",
                                      "x-real-ip",
                                      "x-forwarded-for",
                                      "x-forwarded-proto",
                                      "x-forwarded-host"};
  for (size_t i = 0; i < countof(names); i++)
    if (is_alike(name, names[i])) return true;
  return false;
}

// Via of all servers so far.
static void put_via(struct asked *a, struct span value) {
  put(a, value.bytes, value.len);
  put(a, ", ", 2);
}

static void add_theirs(struct asked *a, const struct request *r, bool says_via) {
  char *via = a->at;
  for (size_t i = 0; i < r->field_count; i++) {
    const struct field *f = &r->fields[i];
    if (is_not_theirs(f->name) || !field_is_sendable(f) || is_hop_by_hop(f->name, r->fields, r->field_count))
      continue;
    if (span_equal(f->name, SPAN("via"))) put_via(a, f->value);
    else if (!is_given(a, f->name)) add_field(a, f->name, f->value);
  }
  if (says_via) put(a, "1.1 spate", 9);
  else if (a->at > via) a->at -= 2; // the last comma
  if (a->at > via) add_own(a, SPAN("via"), (struct span){via, (size_t)(a->at - via)});
}

// Who has asked, of what.
static void add_forwarded(struct asked *a, const struct exchange *ex, bool keeps_host) {
  const struct request *r = ex->request;
  struct span scheme = forwarded_scheme(r), host = forwarded_host(r);
  char peer[ADDRESS_TEXT_MAX], *at = a->at;
  size_t len = ex->stream ? access_client(ex->stream, peer) : 0;
  put(a, peer, len);
  if (len) add_own(a, SPAN("x-forwarded-for"), (struct span){at, len});
  add_own(a, SPAN("x-forwarded-proto"), scheme);
  add_own(a, SPAN("x-forwarded-host"), host);
  if (keeps_host) add_own(a, SPAN("host"), host);
}

// A list in the table at `index`, whose strings that keeps.
static void read_given(lua_State *L, int index, struct asked *a) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, index);
  for (lua_Integer i = 1; i < n && a->given_count < PROXY_FIELDS_MAX; i += 2) {
    struct field *f = &a->given[a->given_count++];
    lua_rawgeti(L, index, i);
    lua_rawgeti(L, index, i + 1);
    f->name.bytes = lua_tolstring(L, -2, &f->name.len);
    f->value = (struct span){0};
    if (lua_type(L, -1) == LUA_TSTRING) f->value.bytes = lua_tolstring(L, -1, &f->value.len);
    lua_pop(L, 2);
  }
}

static bool flag_of(lua_State *L, int index, const char *name) {
  bool is_set = lua_istable(L, index) && lua_getfield(L, index, name) != LUA_TNIL && lua_toboolean(L, -1);
  if (lua_istable(L, index)) lua_pop(L, 1);
  return is_set;
}

// `path` (of a URL, or without its host), what lies behind it, and both queries.
static struct span put_target(struct asked *a, struct span path, struct span rest, struct span own,
                              const struct request *r) {
  char *begin = a->at;
  bool has_query = r->target.len && memchr(r->target.bytes, '?', r->target.len);
  if (rest.len && path.len && path.bytes[path.len - 1] == '/') path.len--;
  put(a, path.bytes, path.len);
  a->at += path_quote(rest, a->at);
  if (own.len || has_query) put(a, "?", 1);
  put(a, own.bytes, own.len);
  if (own.len && has_query) put(a, "&", 1);
  put(a, r->query.bytes, r->query.len);
  return (struct span){begin, (size_t)(a->at - begin)};
}

// Room for both forms of the target, the path that is looked at, the fields that are made.
static char *push_room(lua_State *L, const struct request *r, struct span url, struct span path) {
  size_t via = 16;
  for (size_t i = 0; i < r->field_count; i++)
    if (span_equal(r->fields[i].name, SPAN("via"))) via += r->fields[i].value.len + 2;
  size_t target = 3 * r->path.len + r->query.len + 4;
  return lua_newuserdatauv(L, 2 * target + 2 * url.len + path.len + r->path.len + via + ADDRESS_TEXT_MAX, 0);
}

static int push_outcome(lua_State *L, const char *message, const char *code) {
  lua_pushnil(L);
  lua_pushstring(L, message);
  lua_pushstring(L, code);
  return 3;
}

// The fields are those of the request, of who has asked, and the given ones.
static void add_all(lua_State *L, struct asked *a, const struct exchange *ex) {
  bool has_given = lua_istable(L, 5);
  if (has_given) read_given(L, 5, a);
  add_theirs(a, ex->request, !has_given || flag_of(L, 5, "via"));
  add_forwarded(a, ex, flag_of(L, 5, "preserve_host"));
  for (size_t i = 0; i < a->given_count; i++)
    if (a->given[i].value.bytes) add_field(a, a->given[i].name, a->given[i].value);
}

static void set_body(struct fetch_request *q, const struct request *r) {
  q->body_length = r->body == BODY_LENGTH ? (int64_t)r->content_length : -1;
  if (r->body != BODY_NONE) q->body_kind = FETCH_BODY_PIECES;
}

// The route's pattern stays in the application's list.
static struct span pattern_of(lua_State *L, const struct exchange *ex) {
  struct span pattern = {0};
  lua_router_pattern(L, ex->route);
  if (lua_type(L, -1) == LUA_TSTRING) pattern.bytes = lua_tolstring(L, -1, &pattern.len);
  lua_pop(L, 1);
  return pattern;
}

static int proxy_begin(lua_State *L) {
  const struct exchange *ex = exchange_check(L, 1);
  const struct request *r = ex ? ex->request : NULL;
  const struct fetch_origin *origin = lua_isnil(L, 3) ? NULL : luaL_checkudata(L, 3, ORIGIN);
  struct span url, own;
  struct asked a;
  a.count = a.given_count = 0, a.is_full = false;
  url.bytes = luaL_checklstring(L, 2, &url.len);
  lua_settop(L, 5);
  struct task *t = task_check(L, "reply.proxy");
  if (!r) return push_outcome(L, "the request is over", "closed");
  own = url;
  struct span before = span_split(&own, '?'), path = origin ? span_of(origin->path) : SPAN("");
  struct span rest = path_beneath(pattern_of(L, ex), r->path);
  a.at = push_room(L, r, url, path);
  if (path_is_devious(rest, a.at)) return push_outcome(L, "a path that leads elsewhere", "path");
  struct fetch_request q = {.method = r->method_name, .origin = origin, .fields = a.fields};
  q.url = put_target(&a, before, rest, own, r);
  if (origin) q.target = put_target(&a, path, rest, own, r);
  add_all(L, &a, ex);
  if (a.is_full) return push_outcome(L, "more fields than are passed on", "fields");
  q.field_count = a.count;
  set_body(&q, r);
  if (lua_istable(L, 4)) upstream_read_options(L, 4, &q);
  int pushed = upstream_begin(L, t, &q);
  if (pushed > 1) return pushed;
  lua_pushboolean(L, q.body_kind == FETCH_BODY_PIECES);
  return 2;
}

void proxy_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"proxy_origin", proxy_origin}, {"proxy_begin", proxy_begin}, {NULL, NULL}};
  class_new(L, ORIGIN, NULL, origin_collect);
  luaL_setfuncs(L, functions, 0);
}
