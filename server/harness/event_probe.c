// SPDX-License-Identifier: MIT
// The parser of event streams, and values of dictionaries as Redis has them, as specs see them.
#include <lauxlib.h>
#include "base/util.h"
#include "event/shared_value.h"
#include "event/sse_parser.h"
#include "harness/harness.h"
#include "script/class.h"

struct parsing {
  struct sse_parser parser;
  lua_State *L; // with the list of events on top
};

static void set_text(lua_State *L, const char *name, struct span text) {
  push_span(L, text);
  lua_setfield(L, -2, name);
}

static void on_event(struct sse_parser *p, const struct sse_fields *f) {
  lua_State *L = container_of(p, struct parsing, parser)->L;
  lua_newtable(L);
  set_text(L, "event", f->event.bytes ? f->event : SPAN("message"));
  set_text(L, "data", f->data);
  set_text(L, "id", f->id);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

// harness.parse_events(pieces [, last id [, most bytes of an event]]): { events =, last_event_id =, retry =
// }, or nil, "too large".
static int parse_events(lua_State *L) {
  struct span last_id = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  last_id.bytes = luaL_optlstring(L, 2, "", &last_id.len);
  size_t event_max = (size_t)luaL_optinteger(L, 3, 4 << 20);
  lua_newtable(L);
  lua_newtable(L);
  struct parsing p = {.L = L};
  sse_parser_init(&p.parser, on_event, event_max, last_id);
  bool ok = true;
  for (lua_Integer i = 1; ok && lua_rawgeti(L, 1, i) == LUA_TSTRING; i++) {
    struct span piece;
    piece.bytes = lua_tolstring(L, -1, &piece.len);
    lua_rotate(L, -2, 1);
    ok = sse_parse(&p.parser, piece);
    lua_remove(L, -2);
  }
  lua_settop(L, lua_gettop(L) - (ok ? 1 : 0));
  lua_setfield(L, -2, "events");
  set_text(L, "last_event_id", buf_span(&p.parser.last_id));
  if (p.parser.retry_ms >= 0) lua_pushinteger(L, p.parser.retry_ms), lua_setfield(L, -2, "retry");
  sse_parser_deinit(&p.parser);
  if (ok) return 1;
  lua_pushnil(L);
  lua_pushliteral(L, "too large");
  return 2;
}

// harness.reread_value(text): the text of the value that it is read as; nil where it is none.
static int reread_value(lua_State *L) {
  struct span text;
  struct shared_value v;
  struct buf written = {0};
  text.bytes = luaL_checklstring(L, 1, &text.len);
  if (!shared_value_read(text, &v)) return 0;
  shared_value_write(&written, &v);
  push_span(L, buf_span(&written));
  buf_deinit(&written);
  return 1;
}

void event_probe_open(lua_State *L) {
  lua_pushcfunction(L, reread_value);
  lua_setfield(L, -2, "reread_value");
  lua_pushcfunction(L, parse_events);
  lua_setfield(L, -2, "parse_events");
}
