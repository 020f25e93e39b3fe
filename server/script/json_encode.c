// SPDX-License-Identifier: MIT
// Walks a Lua value and writes it as JSON. Tables are read raw; a table is an array when its metatable says
// so, when its keys are 1..n, or when it is empty. The keys of an object are sorted by their bytes, so that
// equal values have equal encodings.
//
// Invariant: nothing here allocates in the Lua state except its stack, until an error is raised. So no
// collection starts while the walk holds pointers into strings, and no finalizer can come back in and reuse
// the buffer.
#include "script/json_encode.h"
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"
#include "script/raise.h"

enum {
  JSON_LEN_MAX =
      128 << 20,     // a table that refers to another twice, and so on downwards, doubles at each level
  PATH_END = 8,      // levels shown at either end of a long path
  PATH_KEY_MAX = 40, // bytes shown of a key
  SORT_SMALL = 16    // members up to which inserting beats qsort
};

struct encoder {
  lua_State *L;
  struct buf *out;
  size_t depth_max;
};

// The way to a value, for errors and for the depth: a link per table around it. `key` is NULL in an array.
struct place {
  const struct place *outer;
  size_t depth;
  const char *key;
  size_t key_len;
  lua_Integer index;
};

// A member of an object while it is sorted: the slot of its key on the Lua stack, and the key's first eight
// bytes as a number, which decides most comparisons.
struct member {
  uint64_t prefix;
  int slot;
};

static const char kind_key, null_key, kind_metas[JSON_KIND_OBJECT + 1]; // their addresses are the keys

static void encode_value(struct encoder *e, const struct place *at);

void json_kind_push(lua_State *L, enum json_kind kind) {
  const void *key = &kind_metas[kind];
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, kind);
  lua_rawsetp(L, -2, &kind_key);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void json_kind_give(lua_State *L, int index, enum json_kind kind) {
  if (kind == JSON_KIND_NONE) return;
  index = lua_absindex(L, index);
  json_kind_push(L, kind);
  lua_setmetatable(L, index);
}

enum json_kind json_kind_of(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return JSON_KIND_NONE;
  lua_rawgetp(L, -1, &kind_key);
  enum json_kind kind = (enum json_kind)lua_tointeger(L, -1);
  lua_pop(L, 2);
  return kind;
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "json.null");
  return 1;
}

void json_null_push(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "json.null");
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
}

static bool is_name(const char *key, size_t len) {
  if (len == 0 || len > PATH_KEY_MAX || (key[0] >= '0' && key[0] <= '9')) return false;
  for (size_t i = 0; i < len; i++) {
    char c = key[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

static void path_add_key(luaL_Buffer *b, const char *key, size_t len, bool first) {
  if (is_name(key, len)) {
    if (!first) luaL_addchar(b, '.');
    luaL_addlstring(b, key, len);
    return;
  }
  luaL_addstring(b, "[\"");
  for (size_t i = 0; i < MIN(len, PATH_KEY_MAX); i++) {
    unsigned char c = (unsigned char)key[i];
    luaL_addchar(b, c < 0x20 || c >= 0x7f ? '?' : (char)c);
  }
  luaL_addstring(b, len > PATH_KEY_MAX ? "...\"]" : "\"]");
}

static void path_add(luaL_Buffer *b, const struct place *at, size_t total) {
  if (at->outer) path_add(b, at->outer, total);
  if (at->depth > PATH_END && at->depth + PATH_END <= total) {
    if (at->depth == PATH_END + 1) luaL_addstring(b, "...");
  } else if (at->key) {
    path_add_key(b, at->key, at->key_len, at->depth == 1);
  } else {
    char text[32];
    luaL_addlstring(b, text, (size_t)snprintf(text, sizeof text, "[" LUA_INTEGER_FMT "]", at->index));
  }
}

// Raises at the line of the nearest function that a user wrote; takes the message from the top of the stack.
static void __attribute__((noreturn)) fail(struct encoder *e, const struct place *at) {
  lua_State *L = e->L;
  if (at) {
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lua_pushliteral(L, " at ");
    luaL_Buffer path;
    luaL_buffinit(L, &path);
    path_add(&path, at, at->depth);
    luaL_pushresult(&path);
    lua_concat(L, 3);
  }
  raise_top(L);
  abort();
}

// True when one of eight bytes is a control character, a quote, a backslash or not ASCII. A borrow can only
// reach bytes behind one that is special anyway.
static bool has_special(uint64_t word) {
  const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
  uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
  return ((word - ones * 0x20) | (quote - ones) | (backslash - ones) | word) & high;
}

// How many bytes from the start can be copied as they are.
static size_t plain_len(const char *s, size_t len) {
  size_t at = 0;
  while (at < len) {
    uint64_t word;
    if (len - at >= sizeof word) {
      memcpy(&word, s + at, sizeof word);
      if (!has_special(word)) {
        at += sizeof word;
        continue;
      }
    }
    unsigned char c = (unsigned char)s[at];
    size_t step =
        c < 0x80 ? c >= 0x20 && c != '"' && c != '\\' : utf8_len((const unsigned char *)s + at, len - at);
    if (!step) break;
    at += step;
  }
  return at;
}

static void encode_escape(struct buf *out, char c) {
  static const char letters[] = "btn.fr"; // of the bytes 8 to 13; 11 has none
  char *to = buf_reserve(out, 6);
  if (c == '"' || c == '\\' || (c >= 8 && c <= 13 && c != 11)) {
    to[0] = '\\', to[1] = c < 0x20 ? letters[c - 8] : c;
    out->len += 2;
  } else {
    memcpy(to, c < 0x10 ? "\\u000" : "\\u001", 5);
    to[5] = "0123456789abcdef"[c & 15];
    out->len += 6;
  }
}

// Returns how many bytes it has written, short of `len` where the UTF-8 is not valid.
static size_t encode_string(struct buf *out, const char *s, size_t len) {
  char *to = buf_reserve(out, len + 2);
  *to = '"';
  out->len++;
  size_t at = 0;
  for (;;) {
    size_t plain = plain_len(s + at, len - at);
    buf_append(out, s + at, plain);
    at += plain;
    if (at == len) break;
    if ((unsigned char)s[at] >= 0x80) return at;
    encode_escape(out, s[at++]);
  }
  buf_append_byte(out, '"');
  return len;
}

static void encode_key(struct encoder *e, const struct place *at) {
  size_t done = encode_string(e->out, at->key, at->key_len);
  if (done < at->key_len) {
    lua_pushfstring(e->L, "invalid UTF-8 at byte %I of the key", (lua_Integer)done + 1);
    fail(e, at);
  }
  buf_append_byte(e->out, ':');
}

static void encode_text(struct encoder *e, const struct place *at) {
  size_t len;
  const char *s = lua_tolstring(e->L, -1, &len);
  size_t done = encode_string(e->out, s, len);
  if (done == len) return;
  lua_pushfstring(e->L, "invalid UTF-8 at byte %I of the string", (lua_Integer)done + 1);
  fail(e, at);
}

static void encode_integer(struct buf *out, lua_Integer value) {
  char text[24], *at = text + sizeof text;
  uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
  do *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (value < 0) *--at = '-';
  buf_append(out, at, (size_t)(text + sizeof text - at));
}

// Writes a decimal of up to 15 digits, 6 of them behind the point, without the C library; false where that
// does not do. `scaled / power` is rounded once, exactly as reading the text would, so what is equal here
// reads back.
static bool encode_decimal(struct buf *out, double value) {
  double left = fabs(value), power = 1;
  uint64_t scaled = 0;
  int decimals = 0;
  for (;; decimals++, power *= 10) {
    if (decimals > 6 || left * power >= 1e15) return false;
    scaled = (uint64_t)(left * power + 0.5);
    if ((double)scaled / power == left) break;
  }
  char text[24], *at = text + sizeof text;
  if (!decimals) *--at = '0';
  for (int i = 0; i < decimals; i++, scaled /= 10) *--at = (char)('0' + scaled % 10);
  *--at = '.';
  do *--at = (char)('0' + scaled % 10);
  while (scaled /= 10);
  if (signbit(value)) *--at = '-';
  buf_append(out, at, (size_t)(text + sizeof text - at));
  return true;
}

// Puts a point where the locale has something else.
static void fix_point(char *text) {
  char *point = text + strspn(text, "-0123456789");
  size_t width = strcspn(point, "0123456789e");
  if (!width) return;
  *point = '.';
  memmove(point + 1, point + width, strlen(point + width) + 1);
}

static void encode_float(struct encoder *e, const struct place *at, double value) {
  if (!isfinite(value)) {
    lua_pushstring(e->L, isnan(value) ? "cannot encode NaN" : "cannot encode an infinite number");
    fail(e, at);
  }
  if (encode_decimal(e->out, value)) return;
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (digits == 17 || strtod(text, NULL) == value) break;
  }
  fix_point(text);
  buf_append(e->out, text, strlen(text));
  if (!strpbrk(text, ".e")) buf_append(e->out, ".0", 2);
}

static void __attribute__((noreturn))
fail_key(struct encoder *e, const struct place *outer, struct place *at) {
  lua_State *L = e->L;
  if (lua_type(L, -1) == LUA_TSTRING) {
    at->key = lua_tolstring(L, -1, &at->key_len);
    lua_pushliteral(L, "string key in an array");
    fail(e, at);
  }
  if (lua_isinteger(L, -1)) {
    at->key = NULL, at->index = lua_tointeger(L, -1);
    lua_pushliteral(L, "integer key in an object");
    fail(e, at);
  }
  const char *type = luaL_typename(L, -1), *text = type;
  if (lua_isboolean(L, -1) || lua_isnumber(L, -1)) text = luaL_tolstring(L, -1, NULL);
  lua_pushfstring(L, "a key must be a string or an integer, not a %s (%s)", type, text);
  fail(e, outer);
}

// The length of the table on top of the stack, whose keys must be 1..n.
static lua_Integer array_len(struct encoder *e, const struct place *outer, struct place *at) {
  lua_State *L = e->L;
  lua_Integer count = 0, last = 0;
  for (lua_pushnil(L); lua_next(L, -2); count++) {
    lua_pop(L, 1);
    lua_Integer index = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (!lua_isinteger(L, -1)) fail_key(e, outer, at);
    if (index < 1) {
      at->index = index;
      lua_pushliteral(L, "an array starts at 1, not");
      fail(e, at);
    }
    last = MAX(last, index);
  }
  if (last == count) return count;
  for (at->index = 1; lua_rawgeti(L, -1, at->index) != LUA_TNIL; at->index++) lua_pop(L, 1);
  lua_pushliteral(L, "an array with a hole");
  fail(e, at);
}

static void encode_array(struct encoder *e, const struct place *outer) {
  struct place at = {.outer = outer, .depth = outer ? outer->depth + 1 : 1};
  lua_Integer len = array_len(e, outer, &at);
  buf_append_byte(e->out, '[');
  for (at.index = 1; at.index <= len; at.index++) {
    if (at.index > 1) buf_append_byte(e->out, ',');
    lua_rawgeti(e->L, -1, at.index);
    encode_value(e, &at);
    lua_pop(e->L, 1);
  }
  buf_append_byte(e->out, ']');
}

static struct member member_of(lua_State *L, int slot) {
  struct member m = {.slot = slot};
  size_t len;
  const char *key = lua_tolstring(L, slot, &len);
  for (size_t i = 0; i < MIN(len, sizeof m.prefix); i++)
    m.prefix |= (uint64_t)(unsigned char)key[i] << (56 - 8 * i);
  return m;
}

static int member_compare(const void *left, const void *right, void *state) {
  const struct member *a = left, *b = right;
  if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
  size_t a_len, b_len;
  const char *a_key = lua_tolstring(state, a->slot, &a_len), *b_key = lua_tolstring(state, b->slot, &b_len);
  int order = memcmp(a_key, b_key, MIN(a_len, b_len));
  return order ? order : (a_len > b_len) - (a_len < b_len);
}

static void members_sort(lua_State *L, struct member *members, int count) {
  if (count > SORT_SMALL) {
    qsort_r(members, (size_t)count, sizeof *members, member_compare, L);
    return;
  }
  for (int i = 1; i < count; i++) {
    struct member moved = members[i];
    int to = i;
    for (; to > 0 && member_compare(&members[to - 1], &moved, L) > 0; to--) members[to] = members[to - 1];
    members[to] = moved;
  }
}

// Pushes the members of the table on top of the stack as pairs of key and value, and returns how many.
static int push_members(struct encoder *e, const struct place *outer, struct place *at) {
  lua_State *L = e->L;
  int table = lua_gettop(L), count = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_type(L, -2) != LUA_TSTRING) lua_pop(L, 1), fail_key(e, outer, at);
    if (count++ % 8 == 0) luaL_checkstack(L, 20, "too many keys in an object");
    lua_pushvalue(L, -2);
  }
  return count;
}

// Pushes the `count` pairs from `first` on once more, the least key last. What is sorted lies in the room
// behind the content of the output, which nobody else needs meanwhile: so there is nothing to free if an
// error is raised.
static void push_sorted(struct encoder *e, int first, int count) {
  size_t size = sizeof(struct member), mask = _Alignof(struct member) - 1;
  luaL_checkstack(e->L, 2 * count + LUA_MINSTACK, "too many keys in an object");
  uintptr_t room = (uintptr_t)buf_reserve(e->out, ((size_t)count + 1) * size);
  struct member *members = (struct member *)((room + mask) & ~(uintptr_t)mask);
  for (int i = 0; i < count; i++) members[i] = member_of(e->L, first + 2 * i);
  members_sort(e->L, members, count);
  for (int i = count; i-- > 0;) {
    lua_pushvalue(e->L, members[i].slot);
    lua_pushvalue(e->L, members[i].slot + 1);
  }
}

static void encode_object(struct encoder *e, const struct place *outer) {
  lua_State *L = e->L;
  struct place at = {.outer = outer, .depth = outer ? outer->depth + 1 : 1};
  int table = lua_gettop(L), count = push_members(e, outer, &at);
  if (count > 1) push_sorted(e, table + 1, count);
  buf_append_byte(e->out, '{');
  for (int i = 0; i < count; i++) {
    if (i) buf_append_byte(e->out, ',');
    at.key = lua_tolstring(L, -2, &at.key_len);
    encode_key(e, &at);
    encode_value(e, &at);
    lua_pop(L, 2);
  }
  buf_append_byte(e->out, '}');
  lua_settop(L, table);
}

// A table without a kind is what its first key says, and the empty one an array.
static bool is_object(lua_State *L) {
  enum json_kind kind = json_kind_of(L, -1);
  if (kind != JSON_KIND_NONE) return kind == JSON_KIND_OBJECT;
  lua_pushnil(L);
  if (!lua_next(L, -2)) return false;
  bool object = !lua_isinteger(L, -2);
  lua_pop(L, 2);
  return object;
}

static void encode_table(struct encoder *e, const struct place *at) {
  lua_State *L = e->L;
  luaL_checkstack(L, LUA_MINSTACK, "too many nested tables");
  if ((at ? at->depth : 0) >= e->depth_max) {
    lua_pushfstring(L, "nested deeper than %I levels (a cycle?)", (lua_Integer)e->depth_max);
    fail(e, at);
  }
  if (e->out->len > JSON_LEN_MAX) {
    lua_pushfstring(L, "the JSON grows beyond %d MiB", JSON_LEN_MAX >> 20);
    fail(e, at);
  }
  if (is_object(L)) encode_object(e, at);
  else encode_array(e, at);
}

static void encode_userdata(struct encoder *e, const struct place *at) {
  lua_State *L = e->L;
  bool is_null = lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key) != LUA_TNIL && lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (is_null) {
    buf_append(e->out, "null", 4);
    return;
  }
  bool is_named = luaL_getmetafield(L, -1, "__name") == LUA_TSTRING;
  lua_pushfstring(L, "cannot encode a %s", is_named ? lua_tostring(L, -1) : "userdata");
  fail(e, at);
}

// Encodes the value on top of the stack and leaves it there.
static void encode_value(struct encoder *e, const struct place *at) {
  lua_State *L = e->L;
  switch (lua_type(L, -1)) {
  case LUA_TTABLE: encode_table(e, at); return;
  case LUA_TSTRING: encode_text(e, at); return;
  case LUA_TNUMBER:
    if (lua_isinteger(L, -1)) encode_integer(e->out, lua_tointeger(L, -1));
    else encode_float(e, at, lua_tonumber(L, -1));
    return;
  case LUA_TBOOLEAN: buf_append_span(e->out, lua_toboolean(L, -1) ? SPAN("true") : SPAN("false")); return;
  case LUA_TNIL: buf_append(e->out, "null", 4); return;
  case LUA_TUSERDATA: encode_userdata(e, at); return;
  default: lua_pushfstring(L, "cannot encode a %s", luaL_typename(L, -1)); fail(e, at);
  }
}

void json_encode_value(lua_State *L, int index, struct buf *out, size_t depth_max) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushvalue(L, index);
  encode_value(&(struct encoder){.L = L, .out = out, .depth_max = depth_max}, NULL);
  lua_pop(L, 1);
}
