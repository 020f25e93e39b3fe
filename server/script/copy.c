// SPDX-License-Identifier: MIT
// A tag, and for strings and numbers their bytes as this machine has them; a table is its kind, the length of
// its list, keys and values in turn, and an end. A table that two refer to arrives as two. What has been
// written is ours alone, so reading trusts it.
#include "script/copy.h"
#include <lauxlib.h>
#include <limits.h>
#include "base/util.h"
#include "script/json_encode.h"

enum tag { TAG_NIL, TAG_FALSE, TAG_TRUE, TAG_INTEGER, TAG_FLOAT, TAG_STRING, TAG_NULL, TAG_TABLE, TAG_END };

// What is being written: the tables around the present one tell one that is inside itself.
struct copying {
  lua_State *L;
  struct buf *out;
  size_t max;
  int depth;
  const void *around[COPY_DEPTH_MAX];
};

static bool refuse(struct copying *c, const char *why) {
  lua_pushfstring(c->L, ": %s", why);
  return false;
}

static bool put(struct copying *c, const void *bytes, size_t len) {
  if (len > c->max - c->out->len) return refuse(c, "more bytes than offload.bytes");
  buf_append(c->out, bytes, len);
  return true;
}

static bool put_tag(struct copying *c, enum tag tag) {
  return put(c, &(unsigned char){(unsigned char)tag}, 1);
}

static bool put_number(struct copying *c, int index) {
  if (lua_isinteger(c->L, index)) {
    lua_Integer n = lua_tointeger(c->L, index);
    return put_tag(c, TAG_INTEGER) && put(c, &n, sizeof n);
  }
  lua_Number n = lua_tonumber(c->L, index);
  return put_tag(c, TAG_FLOAT) && put(c, &n, sizeof n);
}

static bool put_string(struct copying *c, int index) {
  size_t len;
  const char *bytes = lua_tolstring(c->L, index, &len);
  return put_tag(c, TAG_STRING) && put(c, &len, sizeof len) && put(c, bytes, len);
}

static bool is_null(lua_State *L, int index) {
  json_null_push(L);
  bool is = lua_rawequal(L, index, -1);
  lua_pop(L, 1);
  return is;
}

// Puts ".name" or "[key]" before the reason on top, for the key below it.
static bool add_key(struct copying *c, int key) {
  lua_State *L = c->L;
  if (lua_type(L, key) == LUA_TSTRING) lua_pushfstring(L, ".%s", lua_tostring(L, key));
  else if (lua_type(L, key) == LUA_TNUMBER)
    lua_pushvalue(L, key), lua_pushfstring(L, "[%s]", lua_tostring(L, -1)), lua_remove(L, -2);
  else lua_pushfstring(L, "[a %s]", luaL_typename(L, key));
  lua_insert(L, -2);
  lua_concat(L, 2);
  return false;
}

static bool put_value(struct copying *c, int index);

static bool put_members(struct copying *c, int table) {
  lua_State *L = c->L;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    int key = lua_gettop(L) - 1;
    bool is_key = !lua_istable(L, key) || refuse(c, "a table as a key cannot go to another thread");
    if (!is_key || !put_value(c, key) || !put_value(c, key + 1)) return add_key(c, key);
  }
  return put_tag(c, TAG_END);
}

static bool put_table(struct copying *c, int index) {
  const void *table = lua_topointer(c->L, index);
  unsigned char kind = (unsigned char)json_kind_of(c->L, index);
  uint32_t list_len = (uint32_t)MIN(lua_rawlen(c->L, index), INT_MAX);
  for (int i = 0; i < c->depth; i++)
    if (c->around[i] == table) return refuse(c, "a table inside itself cannot go to another thread");
  if (c->depth == COPY_DEPTH_MAX) return refuse(c, "more than 100 tables inside one another");
  if (!put_tag(c, TAG_TABLE) || !put(c, &kind, 1) || !put(c, &list_len, sizeof list_len)) return false;
  luaL_checkstack(c->L, 8, NULL);
  c->around[c->depth++] = table;
  bool ok = put_members(c, index);
  c->depth--;
  return ok;
}

static bool put_value(struct copying *c, int index) {
  switch (lua_type(c->L, index)) {
  case LUA_TNIL: return put_tag(c, TAG_NIL);
  case LUA_TBOOLEAN: return put_tag(c, lua_toboolean(c->L, index) ? TAG_TRUE : TAG_FALSE);
  case LUA_TNUMBER: return put_number(c, index);
  case LUA_TSTRING: return put_string(c, index);
  case LUA_TTABLE: return put_table(c, index);
  }
  if (is_null(c->L, index)) return put_tag(c, TAG_NULL);
  lua_pushfstring(c->L, ": a %s cannot go to another thread", luaL_typename(c->L, index));
  return false;
}

bool copy_write(lua_State *L, int index, struct buf *out, size_t max) {
  struct copying c = {.L = L, .out = out, .max = max};
  luaL_checkstack(L, 8, NULL);
  return put_value(&c, lua_absindex(L, index));
}

static void take(struct span *in, void *into, size_t len) {
  memcpy(into, in->bytes, len);
  in->bytes += len, in->len -= len;
}

static enum tag take_tag(struct span *in) {
  unsigned char tag;
  take(in, &tag, 1);
  return (enum tag)tag;
}

static void read_string(lua_State *L, struct span *in) {
  size_t len;
  take(in, &len, sizeof len);
  lua_pushlstring(L, in->bytes, len);
  in->bytes += len, in->len -= len;
}

static void read_number(lua_State *L, struct span *in, bool is_integer) {
  lua_Integer integer;
  lua_Number number;
  if (is_integer) take(in, &integer, sizeof integer), lua_pushinteger(L, integer);
  else take(in, &number, sizeof number), lua_pushnumber(L, number);
}

static void read_value(lua_State *L, enum tag tag, struct span *in);

static void read_table(lua_State *L, struct span *in) {
  unsigned char kind;
  uint32_t list_len;
  take(in, &kind, 1);
  take(in, &list_len, sizeof list_len);
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, (int)MIN(list_len, in->len), 0);
  json_kind_give(L, -1, (enum json_kind)kind);
  for (enum tag tag; (tag = take_tag(in)) != TAG_END; lua_rawset(L, -3)) {
    read_value(L, tag, in);
    read_value(L, take_tag(in), in);
  }
}

static void read_value(lua_State *L, enum tag tag, struct span *in) {
  switch (tag) {
  case TAG_FALSE: lua_pushboolean(L, 0); break;
  case TAG_TRUE: lua_pushboolean(L, 1); break;
  case TAG_INTEGER: read_number(L, in, true); break;
  case TAG_FLOAT: read_number(L, in, false); break;
  case TAG_STRING: read_string(L, in); break;
  case TAG_NULL: json_null_push(L); break;
  case TAG_TABLE: read_table(L, in); break;
  case TAG_NIL:
  case TAG_END: lua_pushnil(L); break;
  }
}

void copy_read(lua_State *L, struct span *in) {
  luaL_checkstack(L, 8, NULL);
  read_value(L, take_tag(in), in);
}
