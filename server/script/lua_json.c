// SPDX-License-Identifier: MIT
// json.encode and json.decode. What cannot be encoded is a mistake of the program and raises at its line;
// what cannot be decoded came from outside, and is nil and a message with line and column.
//
// Invariant: what is allocated outside the Lua state hangs on a userdata with a finalizer before any call
// that may raise, so an error frees it at the latest with the next collection. jansson parses; its limits
// (2048 levels, integers of 64 bits, finite floats, no NUL in keys) are errors of decode.
#include "script/bindings.h"
#include <jansson.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include "base/buf.h"
#include "base/nearest.h"
#include "base/util.h"
#include "script/class.h"
#include "script/json_encode.h"
#include "script/raise.h"

static const char DOCUMENT[] = "spate.json.document";

enum { BUF_KEEP = 64 << 10 };
enum { ENCODE_BUF = 1, ENCODE_DEPTH };                                            // upvalues of encode
enum { DECODE_SLOT = 1, DECODE_DEPTH, DECODE_ARRAY, DECODE_OBJECT, DECODE_NULL }; // of decode

// Where a document is in the text, counted as jansson does: from 1, columns in characters.
struct json_place {
  int line, column;
};

static int json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  struct buf *out = lua_touserdata(L, lua_upvalueindex(ENCODE_BUF));
  buf_reset(out, BUF_KEEP);
  json_encode_value(L, 1, out, (size_t)lua_tointeger(L, lua_upvalueindex(ENCODE_DEPTH)));
  lua_pushlstring(L, out->bytes, out->len);
  buf_reset(out, BUF_KEEP);
  return 1;
}

static int decode_slot_gc(lua_State *L) {
  json_t **slot = lua_touserdata(L, 1);
  json_decref(*slot);
  *slot = NULL;
  return 0;
}

static json_t **new_slot(lua_State *L) {
  json_t **slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = NULL;
  luaL_setmetatable(L, DOCUMENT);
  return slot;
}

// Pushes an empty slot for the parsed document. The one kept from call to call is in use when an error left
// its document behind, or when this is a finalizer that runs during another decode: both times a new one
// replaces it, and the old one goes when nobody refers to it.
static json_t **push_slot(lua_State *L) {
  json_t **slot = lua_touserdata(L, lua_upvalueindex(DECODE_SLOT));
  if (!*slot) {
    lua_pushvalue(L, lua_upvalueindex(DECODE_SLOT));
    return slot;
  }
  slot = new_slot(L);
  lua_copy(L, -1, lua_upvalueindex(DECODE_SLOT));
  return slot;
}

// How a document becomes values.
struct reading {
  size_t depth_left;
  bool keeps_null; // of members; else they are left out
};

static bool json_push_value(lua_State *L, json_t *value, struct reading how);

static bool push_array(lua_State *L, json_t *array, struct reading how) {
  size_t len = json_array_size(array);
  lua_createtable(L, (int)MIN(len, INT_MAX), 0);
  for (size_t i = 0; i < len; i++) {
    if (!json_push_value(L, json_array_get(array, i), how)) return false;
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushvalue(L, lua_upvalueindex(DECODE_ARRAY));
  lua_setmetatable(L, -2);
  return true;
}

static bool push_object(lua_State *L, json_t *object, struct reading how) {
  lua_createtable(L, 0, (int)MIN(json_object_size(object), INT_MAX));
  for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
    json_t *value = json_object_iter_value(it);
    if (json_is_null(value) && !how.keeps_null) continue;
    lua_pushlstring(L, json_object_iter_key(it), json_object_iter_key_len(it));
    if (!json_push_value(L, value, how)) return false;
    lua_rawset(L, -3);
  }
  lua_pushvalue(L, lua_upvalueindex(DECODE_OBJECT));
  lua_setmetatable(L, -2);
  return true;
}

// Pushes what `value` is in Lua; false, with an undefined number of values pushed, where it is nested too
// deep.
static bool json_push_value(lua_State *L, json_t *value, struct reading how) {
  json_type type = json_typeof(value);
  if (type == JSON_OBJECT || type == JSON_ARRAY) {
    if (!how.depth_left) return false;
    how.depth_left--;
    luaL_checkstack(L, 4, "too many nested values");
    return type == JSON_ARRAY ? push_array(L, value, how) : push_object(L, value, how);
  }
  switch (type) {
  case JSON_STRING: lua_pushlstring(L, json_string_value(value), json_string_length(value)); break;
  case JSON_INTEGER: lua_pushinteger(L, json_integer_value(value)); break;
  case JSON_REAL: lua_pushnumber(L, json_real_value(value)); break;
  case JSON_NULL: lua_pushvalue(L, lua_upvalueindex(DECODE_NULL)); break;
  default: lua_pushboolean(L, json_is_true(value));
  }
  return true;
}

// Finds the bracket that opens one level too many, in a text that is well-formed up to there.
static struct json_place find_too_deep(struct span text, size_t depth_max) {
  struct json_place at = {.line = 1};
  bool in_string = false;
  for (size_t i = 0, depth = 0; i < text.len; i++) {
    char c = text.bytes[i];
    if (((unsigned char)c & 0xc0) != 0x80) at.column++;
    if (c == '\n') at.line++, at.column = 0;
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') i++, at.column++;
    if (in_string) continue;
    if ((c == '[' || c == '{') && ++depth > depth_max) break;
    if (c == ']' || c == '}') depth--;
  }
  return at;
}

static int fail_too_deep(lua_State *L, struct span text, size_t depth_max) {
  struct json_place at = find_too_deep(text, depth_max);
  lua_settop(L, 1);
  lua_pushnil(L);
  lua_pushfstring(L, "line %d, column %d: nested deeper than %I levels", at.line, at.column,
                  (lua_Integer)depth_max);
  return 2;
}

static int fail_decode(lua_State *L, struct span text, const json_error_t *error) {
  bool is_blank = true;
  for (size_t i = 0; is_blank && i < text.len; i++)
    is_blank = text.bytes[i] && strchr(" \t\r\n", text.bytes[i]);
  lua_pushnil(L);
  lua_pushfstring(L, "line %d, column %d: %s", MAX(error->line, 1), MAX(error->column, 1),
                  is_blank ? "empty text, a JSON value expected" : error->text);
  return 2;
}

// json.decode(text, { null = json.null }): whether null members are kept.
static bool check_options(lua_State *L) {
  static const char *const names[] = {"null"};
  if (lua_isnoneornil(L, 2)) return false;
  if (!lua_istable(L, 2))
    return raise_error(L, "json.decode: expected a table of options, got %s", luaL_typename(L, 2));
  bool keeps_null = false;
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_tolstring(L, -2, NULL);
    const char *close = nearest(name, names, countof(names));
    if (!close) return raise_error(L, "json.decode: unknown option '%s'; it has null", name);
    if (strcmp(name, close) != 0)
      return raise_error(L, "json.decode: unknown option '%s'; did you mean '%s'?", name, close);
    if (!lua_rawequal(L, -1, lua_upvalueindex(DECODE_NULL)))
      return raise_error(L, "json.decode: null: expected json.null, got %s", luaL_typename(L, -1));
    keeps_null = true;
  }
  return keeps_null;
}

static int json_decode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  struct span text;
  bool keeps_null = check_options(L);
  text.bytes = lua_tolstring(L, 1, &text.len);
  // jansson counts a value inside the innermost array as a level.
  size_t depth_max = MIN((size_t)lua_tointeger(L, lua_upvalueindex(DECODE_DEPTH)), JSON_PARSER_MAX_DEPTH - 1);
  json_error_t error;
  json_t **slot = push_slot(L);
  *slot = json_loadb(text.bytes, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
  if (!*slot && json_error_code(&error) == json_error_stack_overflow)
    return fail_too_deep(L, text, depth_max);
  if (!*slot) return fail_decode(L, text, &error);
  bool is_done = json_push_value(L, *slot, (struct reading){depth_max, keeps_null});
  json_decref(*slot);
  *slot = NULL;
  return is_done ? 1 : fail_too_deep(L, text, depth_max);
}

// json.array and json.object: the table itself, or a new one where none is given, marked by the metatable
// that is the upvalue.
static int json_mark(lua_State *L) {
  if (!lua_gettop(L)) lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  bool is_foreign = json_kind_of(L, 1) == JSON_KIND_NONE && lua_getmetatable(L, 1);
  luaL_argcheck(L, !is_foreign, 1, "the table has a metatable of its own");
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 1);
  return 1;
}

// Stack of the module while it is made: table, array metatable, object metatable.
void json_open(lua_State *L, size_t depth_max) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  class_new(L, DOCUMENT, NULL, decode_slot_gc);
  lua_createtable(L, 0, 5);
  int module = lua_gettop(L), array = module + 1, object = module + 2;
  json_kind_push(L, JSON_KIND_ARRAY);
  json_kind_push(L, JSON_KIND_OBJECT);

  lua_pushvalue(L, array);
  lua_pushcclosure(L, json_mark, 1);
  lua_setfield(L, module, "array");
  lua_pushvalue(L, object);
  lua_pushcclosure(L, json_mark, 1);
  lua_setfield(L, module, "object");
  json_null_push(L);
  lua_setfield(L, module, "null");

  push_buf(L);
  lua_pushinteger(L, (lua_Integer)depth_max);
  lua_pushcclosure(L, json_encode, ENCODE_DEPTH);
  lua_setfield(L, module, "encode");

  new_slot(L);
  lua_pushinteger(L, (lua_Integer)depth_max);
  lua_pushvalue(L, array);
  lua_pushvalue(L, object);
  json_null_push(L);
  lua_pushcclosure(L, json_decode, DECODE_NULL);
  lua_setfield(L, module, "decode");
  lua_settop(L, module);
}
