// SPDX-License-Identifier: MIT
// Header fields from Lua values. What would break the framing, or is the server's own to say, is refused at
// the line where the script names it, not where it is sent.
#include "script/lua_fields.h"
#include <lauxlib.h>
#include "http/head_guard.h"
#include "script/raise.h"

static const char *field_refusal(struct span name, struct span value) {
  static const char *const framing[] = {"content-length", "transfer-encoding", "connection", "keep-alive",
                                        "upgrade",        "trailer",           "date"};
  if (name.len > 256) return "the name is longer than 256 bytes";
  for (size_t i = 0; i < name.len; i++)
    if (!is_tchar((unsigned char)name.bytes[i])) return "the name may hold letters, digits and '-' only";
  if (!name.len) return "the name is empty";
  for (size_t i = 0; i < countof(framing); i++)
    if (span_equal_nocase(name, span_of(framing[i]))) return "the server sets this one itself";
  if (value.len > 16 << 10) return "the value is longer than 16 KiB";
  return NULL;
}

struct span check_text(lua_State *L, int index, const char *what) {
  struct span s;
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) raise_type(L, index, what, "a string");
  s.bytes = lua_tolstring(L, index, &s.len);
  return s;
}

int core_check_field(lua_State *L) {
  struct span name = check_text(L, 1, "header name"), value = check_text(L, 2, "header value");
  const char *why = field_refusal(name, value);
  const char *shown = name.len < 60 ? name.bytes : "...";
  if (why) return raise_error(L, "header '%.60s': %s", shown, why);
  for (size_t i = 0; i < value.len; i++)
    if (!is_value_byte((unsigned char)value.bytes[i]))
      return raise_error(L,
                         "header '%.60s': the value must not contain control characters: byte 0x%02x at %zu",
                         shown, (unsigned char)value.bytes[i], i + 1);
  return 0;
}

size_t read_fields(lua_State *L, int index, struct field fields[FIELDS_MAX]) {
  return read_fields_up_to(L, index, fields, FIELDS_MAX - 1);
}

size_t read_fields_up_to(lua_State *L, int index, struct field *fields, size_t max) {
  size_t n = lua_istable(L, index) ? lua_rawlen(L, index) / 2 : 0;
  if (n > max) raise_error(L, "more than %d header fields", (int)max);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, index, (lua_Integer)i * 2 + 1);
    lua_rawgeti(L, index, (lua_Integer)i * 2 + 2);
    fields[i].name = check_text(L, -2, "header name");
    fields[i].value.bytes = luaL_tolstring(L, -1, &fields[i].value.len);
    lua_pop(L, 3);
  }
  return n;
}
