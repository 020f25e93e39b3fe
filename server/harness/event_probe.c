// SPDX-License-Identifier: MIT
// The parser of event streams, values of dictionaries as Redis has them, ids, and forms that two threads
// make, as specs see them.
#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include "base/util.h"
#include "event/event_text.h"
#include "event/forms.h"
#include "event/position.h"
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

// harness.read_position(id): its epoch and its number as hexadecimal digits; nil where it is none.
static int read_position(lua_State *L) {
  struct span id;
  struct position p;
  char digits[2][17];
  id.bytes = luaL_checklstring(L, 1, &id.len);
  if (!position_read(id, &p)) return 0;
  snprintf(digits[0], sizeof digits[0], "%llx", (unsigned long long)p.epoch);
  snprintf(digits[1], sizeof digits[1], "%llx", (unsigned long long)p.seq);
  lua_pushstring(L, digits[0]);
  lua_pushstring(L, digits[1]);
  return 2;
}

struct forming {
  struct event *event, *form; // form: what this thread has got
  pthread_barrier_t *start;
  pthread_t thread;
};

static void *make_form(void *arg) {
  struct forming *f = arg;
  struct deflater *own = deflater_new(WINDOW_BITS_MAX, NULL);
  pthread_barrier_wait(f->start);
  f->form = forms_alone(f->event, own);
  deflater_free(own);
  return NULL;
}

// harness.form_at_once(data): two threads compress an event of the data at the same time: whether they have
// got the same form of it.
static int form_at_once(lua_State *L) {
  struct sse_fields fields = SSE_NO_FIELDS;
  fields.data.bytes = luaL_checklstring(L, 1, &fields.data.len);
  struct event *e = sse_encode(&fields, sse_length(&fields));
  pthread_barrier_t start;
  struct forming both[2] = {{.event = e, .start = &start}, {.event = e, .start = &start}};
  pthread_barrier_init(&start, NULL, 2);
  int made = pthread_create(&both[0].thread, NULL, make_form, &both[0]);
  if (!made) make_form(&both[1]), pthread_join(both[0].thread, NULL);
  lua_pushboolean(L, !made && both[0].form == both[1].form);
  for (int i = 0; i < 2; i++) event_unref(both[i].form);
  pthread_barrier_destroy(&start);
  event_unref(e);
  return 1;
}

void event_probe_open(lua_State *L) {
  lua_pushcfunction(L, read_position);
  lua_setfield(L, -2, "read_position");
  lua_pushcfunction(L, form_at_once);
  lua_setfield(L, -2, "form_at_once");
  lua_pushcfunction(L, reread_value);
  lua_setfield(L, -2, "reread_value");
  lua_pushcfunction(L, parse_events);
  lua_setfield(L, -2, "parse_events");
}
