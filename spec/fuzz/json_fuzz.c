// SPDX-License-Identifier: MIT
// Decodes any bytes. What decodes must encode, and decode again to a value with the same encoding; what does
// not must be nil and a message that begins with line and column. Each input lies in an allocation of its
// exact size, so that the sanitizer sees a read beyond it.
//   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I server $(pkg-config --cflags lua5.4
//   jansson)
//     spec/fuzz/json_fuzz.c server/script/json_encode.c server/script/lua_json.c server/base/buf.c
//     server/base/mem.c $(pkg-config --libs lua5.4 jansson)
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "script/bindings.h"

enum { DEPTH_MAX = 40, ENCODE = 1, DECODE, FIRST, TEXT, AGAIN };

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

// Calls the function in slot `fn` with the value in slot `arg`; an error is a finding.
static void call(lua_State *L, int fn, int arg, int results) {
  lua_pushvalue(L, fn);
  lua_pushvalue(L, arg);
  if (lua_pcall(L, 1, results, 0) == LUA_OK) return;
  fprintf(stderr, "error: %s\n", lua_tostring(L, -1));
  abort();
}

static lua_State *state_new(void) {
  lua_State *L = luaL_newstate();
  REQUIRE(L);
  json_open(L, DEPTH_MAX);
  lua_getfield(L, 1, "encode");
  lua_getfield(L, 1, "decode");
  lua_remove(L, 1);
  return L;
}

static void check_message(lua_State *L) {
  int line, column;
  REQUIRE(lua_type(L, -1) == LUA_TSTRING);
  REQUIRE(sscanf(lua_tostring(L, -1), "line %d, column %d: ", &line, &column) == 2);
  REQUIRE(line >= 1 && column >= 1);
}

static void check_round_trip(lua_State *L) {
  call(L, ENCODE, FIRST, 1);
  call(L, DECODE, TEXT, 1);
  call(L, ENCODE, AGAIN, 1);
  REQUIRE(lua_rawequal(L, TEXT, -1));
}

// Encodes the bytes themselves, as a string and as a key; what is encoded must decode to the same bytes.
static int check_string(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(ENCODE));
  lua_insert(L, 1);
  lua_pushvalue(L, 2);
  lua_insert(L, 1); // bytes encode bytes
  lua_call(L, 1, 1);
  lua_pushvalue(L, lua_upvalueindex(DECODE));
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  REQUIRE(lua_rawequal(L, 1, -1));
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static lua_State *L;
  if (!L) L = state_new();
  lua_settop(L, DECODE);
  lua_pushvalue(L, ENCODE);
  lua_pushvalue(L, DECODE);
  lua_pushcclosure(L, check_string, 2);
  lua_pushlstring(L, (const char *)bytes, len);
  if (lua_pcall(L, 1, 0, 0)) REQUIRE(strstr(lua_tostring(L, -1), "invalid UTF-8 at byte "));

  lua_settop(L, DECODE);
  lua_pushlstring(L, (const char *)bytes, len);
  call(L, DECODE, FIRST, 2);
  lua_remove(L, FIRST); // now the value and the message
  if (!lua_isnil(L, FIRST)) lua_settop(L, FIRST), check_round_trip(L);
  else check_message(L);
  return 0;
}
