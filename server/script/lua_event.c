// SPDX-License-Identifier: MIT
// A builder has short texts in itself, so that most are one object, and longer ones as user values; a table
// is read as it stands. Both fill the same struct of spans, whose strings stay on the Lua stack until the
// event is encoded: nothing can raise after that. A builder's texts are checked when they are set.
#include "script/lua_event.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/nearest.h"
#include "event/event_text.h"
#include "event/sse.h"
#include "script/class.h"
#include "script/json_encode.h"
#include "script/lua_report.h"
#include "script/raise.h"
#include "script/vm.h"

enum builder_text { TEXT_COMMENT, TEXT_EVENT, TEXT_ID, TEXT_DATA, TEXT_COUNT };
enum { TEXT_ABSENT = -1, TEXT_IS_LONG = -2 }; // of `at` below

struct builder {
  const char *meta; // META, which no other userdata begins with: dearer than this is only to ask Lua
  int64_t retry_ms; // -1: absent
  struct {
    int8_t at; // in `room`, or one of the above
    uint8_t len;
  } texts[TEXT_COUNT];
  uint8_t used;      // of `room`
  bool has_more : 1; // than data in `room`
  bool is_line : 1;  // the data there, which has no line break
  char room[38];
};

_Static_assert(sizeof(struct builder) == 64, "with its user value it is what malloc makes most cheaply");

static const char META[] = "spate.event";

// The builder at `index`; NULL where it is none.
static struct builder *builder_at(lua_State *L, int index) {
  struct builder *b = lua_touserdata(L, index);
  return b && lua_rawlen(L, index) == sizeof *b && b->meta == META ? b : NULL;
}

static struct builder *check_builder(lua_State *L) {
  struct builder *b = builder_at(L, 1);
  if (!b)
    raise_error(L, "expected an event, got %s; write event:data(...), with a colon", luaL_typename(L, 1));
  return b;
}

// Keeps a text in the builder's room; false where that does not suffice.
static bool keep_short(struct builder *b, enum builder_text which, struct span text) {
  size_t at = b->used;
  if (b->texts[which].at >= 0 &&
      b->texts[which].at + b->texts[which].len == b->used) // the newest is replaced
    at = (size_t)b->texts[which].at;
  if (text.len > sizeof b->room - at) return false;
  if (text.len) memcpy(b->room + at, text.bytes, text.len);
  b->texts[which].at = (int8_t)at, b->texts[which].len = (uint8_t)text.len;
  b->used = (uint8_t)(at + text.len);
  return true;
}

// Keeps the string on top of the stack, which is popped, as the user value of the builder at index 1: data
// alone as it is, others in a table.
static void keep_long(lua_State *L, struct builder *b, enum builder_text which) {
  b->has_more = true;
  int type = lua_getiuservalue(L, 1, 1);
  if (type == LUA_TTABLE || which != TEXT_DATA) {
    if (type != LUA_TTABLE) {
      lua_createtable(L, TEXT_COUNT, 0);
      lua_insert(L, -2);
      lua_rawseti(L, -2, TEXT_DATA);
      lua_pushvalue(L, -1);
      lua_setiuservalue(L, 1, 1);
    }
    lua_insert(L, -2);
    lua_rawseti(L, -2, which);
  } else {
    lua_pop(L, 1);
    lua_setiuservalue(L, 1, 1);
  }
  b->texts[which].at = TEXT_IS_LONG;
}

// The text of an integer in `out`, without a string of Lua's: a number is what most streams send.
static struct span integer_text(lua_Integer n, char out[NUMBER_MAX]) {
  char *at = out + NUMBER_MAX;
  lua_Unsigned left = n < 0 ? 0u - (lua_Unsigned)n : (lua_Unsigned)n;
  do *--at = (char)('0' + left % 10);
  while (left /= 10);
  if (n < 0) *--at = '-';
  return (struct span){at, (size_t)(out + NUMBER_MAX - at)};
}

// True for an integer and for a float that is whole: both are written without a point.
static bool whole_number(lua_State *L, int index, lua_Integer *n) {
  int is_whole = 0;
  *n = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &is_whole) : 0;
  return is_whole;
}

// The text of a string, or of what becomes one, at `index`.
static struct span string_of(lua_State *L, int index, const char *field) {
  struct span s;
  if (lua_type(L, index) != LUA_TSTRING && lua_type(L, index) != LUA_TNUMBER)
    raise_error(L, "event field '%s': expected a string or a number, got %s%s", field,
                lua_typename(L, MAX(lua_type(L, index), LUA_TNIL)),
                lua_istable(L, index) ? "; use json for a table" : "");
  s.bytes = lua_tolstring(L, index, &s.len);
  return s;
}

// The text of a field's value at an absolute `index`, which is replaced where it is a number.
static struct span text_of(lua_State *L, int index, const char *field) {
  lua_Integer n;
  if (whole_number(L, index, &n)) {
    lua_pushinteger(L, n);
    lua_replace(L, index);
  }
  return string_of(L, index, field);
}

static int64_t retry_of(lua_State *L, int index) {
  int is_number;
  lua_Number seconds = lua_tonumberx(L, index, &is_number);
  if (!is_number || lua_type(L, index) != LUA_TNUMBER || !(seconds >= 0 && seconds < 1e9))
    raise_error(L, "event field 'retry': expected seconds, 0 or more, got %s", push_shown(L, index));
  advise_seconds(L, "retry", seconds);
  return (int64_t)llround(seconds * 1e3);
}

// The JSON of the value at `index`, in the state's scratch until the next one.
static struct span json_of(lua_State *L, int index) {
  struct vm *vm = vm_of(L);
  buf_reset(&vm->scratch, 64 << 10);
  json_encode_value(L, index, &vm->scratch, vm->settings->limits.json_depth);
  return buf_span(&vm->scratch);
}

static void check_fields(lua_State *L, const struct sse_fields *f) {
  const char *why = sse_refusal(f);
  if (why) raise_error(L, "%s", why);
}

static int unknown_field(lua_State *L, int key) {
  static const char *const names[] = {"comment", "event", "id", "retry", "data", "json"};
  const char *name = luaL_tolstring(L, key, NULL), *close = nearest(name, names, countof(names));
  if (lua_type(L, key) == LUA_TNUMBER)
    return raise_error(L, "expected an event, got a list; { json = list } is one, :map(fn) makes it");
  return close
             ? raise_error(L, "unknown event field '%s'; did you mean '%s'?", name, close)
             : raise_error(L,
                           "unknown event field '%s': an event has event, data, json, id, retry and comment",
                           name);
}

// What a channel's event keeps, and a subscriber has passed on.
static struct span trace_of(lua_State *L, int index) {
  struct span trace = string_of(L, index, "traceparent");
  if (trace.len != TRACE_LEN)
    raise_error(L, "event field 'traceparent': expected %d bytes, got %d", (int)TRACE_LEN, (int)trace.len);
  return trace;
}

// Reads one pair, key and value on top; the value stays where a span points into it.
static void read_pair(lua_State *L, struct sse_fields *f, int *json, int keep) {
  int key = lua_gettop(L) - 1, value = key + 1;
  size_t len = 0;
  const char *name = lua_type(L, key) == LUA_TSTRING ? lua_tolstring(L, key, &len) : "";
  if (strlen(name) != len) unknown_field(L, key);
  if (!strcmp(name, "json")) {
    lua_copy(L, value, keep);
    *json = keep;
    return;
  }
  if (!strcmp(name, "retry")) {
    f->retry_ms = retry_of(L, value);
    return;
  }
  if (!strcmp(name, "traceparent")) {
    lua_copy(L, value, keep + 5);
    f->trace = trace_of(L, keep + 5);
    return;
  }
  struct span *into = !strcmp(name, "data")      ? &f->data
                      : !strcmp(name, "event")   ? &f->event
                      : !strcmp(name, "id")      ? &f->id
                      : !strcmp(name, "comment") ? &f->comment
                                                 : NULL;
  if (!into) unknown_field(L, key);
  int at = keep + 1 + (int)(into - &f->comment);
  lua_copy(L, value, at);
  *into = text_of(L, at, name);
}

static void read_table(lua_State *L, int index, struct sse_fields *f) {
  int json = 0, keep = lua_gettop(L) + 1;
  luaL_checkstack(L, 11, NULL);
  lua_settop(L, keep + 5); // places for json, the four texts and a trace
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) read_pair(L, f, &json, keep);
  if (!json) return;
  if (f->data.bytes) raise_error(L, "an event has 'data' or 'json', not both");
  f->data = json_of(L, json);
}

static struct span long_text(lua_State *L, int index, enum builder_text which) {
  struct span s;
  if (lua_getiuservalue(L, index, 1) == LUA_TTABLE) lua_rawgeti(L, -1, which);
  s.bytes = lua_tolstring(L, -1, &s.len);
  return s;
}

static inline struct span builder_text(lua_State *L, int index, const struct builder *b,
                                       enum builder_text which) {
  if (b->texts[which].at >= 0) return (struct span){b->room + b->texts[which].at, b->texts[which].len};
  if (b->texts[which].at == TEXT_ABSENT) return (struct span){0};
  return long_text(L, index, which);
}

static void read_builder(lua_State *L, int index, const struct builder *b, struct sse_fields *f) {
  f->retry_ms = b->retry_ms;
  f->comment = builder_text(L, index, b, TEXT_COMMENT);
  f->event = builder_text(L, index, b, TEXT_EVENT);
  f->id = builder_text(L, index, b, TEXT_ID);
  f->data = builder_text(L, index, b, TEXT_DATA);
}

static bool is_empty(const struct sse_fields *f) {
  return !f->data.bytes && !f->event.bytes && !f->id.bytes && !f->comment.bytes && f->retry_ms < 0;
}

static void read_value(lua_State *L, int index, struct sse_fields *f) {
  int type = lua_type(L, index);
  const struct builder *b = type == LUA_TUSERDATA ? builder_at(L, index) : NULL;
  if (b) {
    read_builder(L, index, b, f);
    if (is_empty(f)) check_fields(L, f);
  } else if (type == LUA_TSTRING || type == LUA_TNUMBER) {
    lua_pushvalue(L, index);
    f->data = text_of(L, lua_gettop(L), "data");
  } else if (type == LUA_TTABLE) {
    read_table(L, index, f);
    check_fields(L, f);
  } else
    raise_error(L, "expected an event (a string, a number, a table of fields or sse.event()), got %s",
                luaL_typename(L, index));
}

size_t event_fields(lua_State *L, int index, struct sse_fields *f, char digits[NUMBER_MAX]) {
  lua_Integer n;
  *f = SSE_NO_FIELDS;
  if (whole_number(L, index, &n)) f->data = integer_text(n, digits);
  else read_value(L, lua_absindex(L, index), f);
  return sse_length(f);
}

static void check_length(lua_State *L, size_t len) {
  size_t limit = vm_of(L)->settings->limits.event;
  if (len > limit) raise_error(L, "an event of %zu bytes is larger than limits.event (%zu)", len, limit);
}

// As event_fields, of an event that is not too large.
static size_t fields_within_limit(lua_State *L, int index, struct sse_fields *f, char digits[NUMBER_MAX]) {
  size_t len = event_fields(L, index, f, digits);
  check_length(L, len);
  return len;
}

// Of a line of data, which is what most streams send.
static struct event *event_of_line(lua_State *L, struct span text) {
  check_length(L, sse_line_length(text.len));
  return sse_encode_line(&vm_of(L)->service->slab, text);
}

// Whether the value is a builder with a line of data and nothing else.
static bool is_line(lua_State *L, int index, struct span *line) {
  const struct builder *b = builder_at(L, index);
  if (!b || b->has_more || !b->is_line) return false;
  *line = (struct span){b->room + b->texts[TEXT_DATA].at, b->texts[TEXT_DATA].len};
  return true;
}

struct event *event_of_value(lua_State *L, int index) {
  struct sse_fields f;
  char digits[NUMBER_MAX];
  struct span line;
  lua_Integer n;
  if (is_line(L, index, &line)) return event_of_line(L, line);
  if (whole_number(L, index, &n)) return event_of_line(L, integer_text(n, digits));
  int top = lua_gettop(L);
  size_t len = fields_within_limit(L, index, &f, digits);
  struct event *e = sse_encode_at(&vm_of(L)->service->slab, &f, len);
  if (lua_gettop(L) != top) lua_settop(L, top);
  return e;
}

void event_add_trace(lua_State *L, struct span trace) {
  if (!trace.len) return;
  lua_pushlstring(L, trace.bytes, trace.len);
  lua_setfield(L, -2, "traceparent");
}

// Pushes the lines of data, which come last in an event, as one text.
static void push_lines(lua_State *L, struct event_text_reader *r, struct span line) {
  luaL_Buffer text;
  struct span name;
  luaL_buffinitsize(L, &text, line.len + r->rest.len);
  luaL_addlstring(&text, line.bytes, line.len);
  while (event_text_next(r, &name, &line)) {
    luaL_addchar(&text, '\n');
    luaL_addlstring(&text, line.bytes, line.len);
  }
  luaL_pushresult(&text);
}

void event_push(lua_State *L, struct span text) {
  struct event_text_reader r = {text};
  struct span name, value;
  lua_createtable(L, 0, 3);
  while (event_text_next(&r, &name, &value)) {
    lua_pushlstring(L, name.bytes, name.len);
    if (span_equal(name, SPAN("data"))) push_lines(L, &r, value);
    else if (span_equal(name, SPAN("retry"))) lua_pushnumber(L, strtod(value.bytes, NULL) / 1e3);
    else lua_pushlstring(L, value.bytes, value.len);
    lua_settable(L, -3);
  }
}

// A text that has been checked to the builder at index 1, which is returned; it is what lies at index 2, or
// is made a string there where it is long.
static int put_text(lua_State *L, struct builder *b, enum builder_text which, struct span text) {
  if (!keep_short(b, which, text)) {
    if (lua_type(L, 2) == LUA_TSTRING && lua_tostring(L, 2) == text.bytes) lua_settop(L, 2);
    else lua_pushlstring(L, text.bytes, text.len);
    keep_long(L, b, which);
  }
  lua_pushvalue(L, 1);
  return 1;
}

static int put_data(lua_State *L, struct builder *b, struct span text, bool is_line) {
  put_text(L, b, TEXT_DATA, text);
  b->is_line = is_line; // behind what may raise
  return 1;
}

static int set_text(lua_State *L, enum builder_text which, const char *name) {
  struct sse_fields f = SSE_NO_FIELDS;
  char digits[NUMBER_MAX];
  lua_Integer n;
  struct builder *b = check_builder(L);
  b->has_more = true;
  lua_settop(L, 2);
  struct span text = whole_number(L, 2, &n) ? integer_text(n, digits) : string_of(L, 2, name);
  if (which == TEXT_COMMENT) f.comment = text;
  else if (which == TEXT_EVENT) f.event = text;
  else f.id = text;
  check_fields(L, &f);
  return put_text(L, b, which, text);
}

// core.event([name]): a new builder. Upvalue: its metatable.
static int new_builder(lua_State *L) {
  bool has_name = !lua_isnoneornil(L, 1);
  struct builder *b = lua_newuserdatauv(L, sizeof *b, 1);
  b->meta = META, b->retry_ms = -1, b->used = 0, b->has_more = b->is_line = false;
  for (int i = 0; i < TEXT_COUNT; i++) b->texts[i].at = TEXT_ABSENT;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  if (!has_name) return 1;
  lua_insert(L, 1);
  return set_text(L, TEXT_EVENT, "event");
}

// Data can be anything.
static int builder_data(lua_State *L) {
  char digits[NUMBER_MAX];
  lua_Integer n;
  struct builder *b = check_builder(L);
  bool is_whole = whole_number(L, 2, &n);
  struct span text = is_whole ? integer_text(n, digits) : string_of(L, 2, "data");
  return put_data(L, b, text, is_whole || (text.len <= sizeof b->room && sse_is_line(text)));
}

static int builder_event(lua_State *L) { return set_text(L, TEXT_EVENT, "event"); }
static int builder_id(lua_State *L) { return set_text(L, TEXT_ID, "id"); }
static int builder_comment(lua_State *L) { return set_text(L, TEXT_COMMENT, "comment"); }

static int builder_json_data(lua_State *L) {
  struct builder *b = check_builder(L);
  if (lua_isnoneornil(L, 2)) raise_error(L, "event:json_data: expected a value, got nil; null is json.null");
  lua_settop(L, 2);
  return put_data(L, b, json_of(L, 2), true); // it has no line breaks but escaped ones
}

static int builder_retry(lua_State *L) {
  struct builder *b = check_builder(L);
  lua_settop(L, 2);
  b->has_more = true;
  b->retry_ms = retry_of(L, 2);
  lua_settop(L, 1);
  return 1;
}

// Pushes the text, of so many bytes, that the fields have on the wire.
static int push_encoded(lua_State *L, const struct sse_fields *f, size_t encoded_len) {
  luaL_Buffer b;
  luaL_buffinitsize(L, &b, encoded_len);
  struct event *e = sse_encode(f, encoded_len);
  size_t len = event_bare_len(e);
  memcpy(luaL_buffaddr(&b), e->bytes + e->bare_at, len);
  event_unref(e);
  luaL_pushresultsize(&b, len);
  return 1;
}

static int builder_tostring(lua_State *L) {
  struct sse_fields f = SSE_NO_FIELDS;
  read_builder(L, 1, check_builder(L), &f);
  if (sse_refusal(&f)) return lua_pushliteral(L, ""), 1;
  return push_encoded(L, &f, sse_length(&f));
}

int lua_event_encode(lua_State *L) {
  struct sse_fields f;
  char digits[NUMBER_MAX];
  size_t len = fields_within_limit(L, 1, &f, digits);
  return push_encoded(L, &f, len);
}

void event_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"data", builder_data},
                                     {"json_data", builder_json_data},
                                     {"event", builder_event},
                                     {"id", builder_id},
                                     {"retry", builder_retry},
                                     {"comment", builder_comment},
                                     {NULL, NULL}};
  class_new(L, META, methods, NULL);
  luaL_getmetatable(L, META);
  lua_pushcfunction(L, builder_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcclosure(L, new_builder, 1);
  lua_setfield(L, -2, "event");
}
