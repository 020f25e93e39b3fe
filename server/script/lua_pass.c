// SPDX-License-Identifier: MIT
// What goes through unread, in either direction, is what belongs to the message: fields of the connection
// stay behind, and so does whatever our own head could not hold.
#include "script/lua_pass.h"
#include <lauxlib.h>
#include "base/digits.h"
#include "client/pass.h"
#include "http/head_guard.h"
#include "http/hop_by_hop.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/lua_fields.h"
#include "script/raise.h"
#include "script/upstream.h"

enum { NAME_MAX_LEN = 256 }; // as core.check_field has it

// Whether it can be part of a head of ours.
static bool is_sendable(const struct field *f) {
  for (size_t i = 0; i < f->name.len; i++)
    if (!is_tchar((unsigned char)f->name.bytes[i])) return false;
  for (size_t i = 0; i < f->value.len; i++)
    if (!is_value_byte((unsigned char)f->value.bytes[i])) return false;
  return f->name.len > 0 && f->name.len <= NAME_MAX_LEN;
}

// Pushes the fields that are passed on, but for two, as a flat list of names and values.
static int push_passed(lua_State *L, const struct field *fields, size_t count, struct span but,
                       struct span and) {
  lua_Integer n = 0;
  lua_createtable(L, (int)MIN(count, 1000u) * 2, 0);
  for (size_t i = 0; i < count; i++) {
    const struct field *f = &fields[i];
    bool is_left_out = span_equal_nocase(f->name, but) || span_equal_nocase(f->name, and);
    if (is_left_out || !is_sendable(f) || is_hop_by_hop(f->name, fields, count)) continue;
    lua_pushlstring(L, f->name.bytes, f->name.len);
    lua_rawseti(L, -2, ++n);
    lua_pushlstring(L, f->value.len ? f->value.bytes : "", f->value.len);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

// The response's fields with texts of their own, pushed: whatever else is made may collect, and a finalizer
// close the response. NULL where it is closed.
static const struct field *push_copy(lua_State *L, const struct upstream *r, size_t *count) {
  const struct fetch *f = r->fetch;
  if (!f) return NULL;
  size_t list_len = f->field_count * sizeof *f->fields, head_len = f->head.len;
  struct field *fields = lua_newuserdatauv(L, list_len + head_len, 0);
  if (!r->fetch) return NULL;
  char *texts = (char *)fields + list_len;
  if (head_len) memcpy(texts, f->head.bytes, head_len);
  *count = f->field_count;
  for (size_t i = 0; i < *count; i++) {
    fields[i] = f->fields[i];
    fields[i].name.bytes = texts + (f->fields[i].name.bytes - f->head.bytes);
    fields[i].value.bytes = texts + (f->fields[i].value.bytes - f->head.bytes);
  }
  return fields;
}

// core.response_fields(res): those of its fields that a client gets. Date is the server's own.
static int response_fields(lua_State *L) {
  size_t count;
  const struct field *fields = push_copy(L, upstream_check(L, 1), &count);
  if (!fields) return raise_error(L, "reply.pass: the response is closed, or its body is read");
  return push_passed(L, fields, count, SPAN("date"), SPAN("content-length"));
}

// core.request_fields(req): those of its fields that another server gets; nil where the request is over.
static int request_fields(lua_State *L) {
  const struct exchange *ex = exchange_check(L, 1);
  if (!ex || !ex->request) return 0;
  return push_passed(L, ex->request->fields, ex->request->field_count, SPAN("host"), SPAN("expect"));
}

// core.request_target(req): its path as it came, and its query or nil; nil where the request is over.
static int request_target(lua_State *L) {
  const struct exchange *ex = exchange_check(L, 1);
  if (!ex || !ex->request) return 0;
  const struct request *r = ex->request;
  bool has_query = r->target.len && memchr(r->target.bytes, '?', r->target.len);
  lua_pushlstring(L, r->path.bytes, r->path.len);
  if (has_query) lua_pushlstring(L, r->query.len ? r->query.bytes : "", r->query.len);
  else lua_pushnil(L);
  return 2;
}

// core.request_length(req): bytes of its body; nil: not known; false: it has none.
static int request_length(lua_State *L) {
  const struct exchange *ex = exchange_check(L, 1);
  const struct request *r = ex ? ex->request : NULL;
  if (!r || r->body == BODY_NONE) lua_pushboolean(L, false);
  else if (r->body == BODY_LENGTH) lua_pushinteger(L, (lua_Integer)r->content_length);
  else lua_pushnil(L);
  return 1;
}

// The length that an answer has announced; -1: none.
static int64_t announced_length(const struct fetch *f) {
  uint64_t length;
  struct span text = fetch_field(f, SPAN("content-length"));
  if (!text.bytes || fetch_field(f, SPAN("transfer-encoding")).bytes) return -1;
  return decimal_read(text, INT64_MAX, &length) ? (int64_t)length : -1;
}

static bool is_event_stream(const struct fetch *f) {
  struct span rest = fetch_field(f, SPAN("content-type"));
  return span_equal_nocase(span_trim(span_split(&rest, ';')), SPAN("text/event-stream"));
}

// core.pass(req, res, status, fields): answers with the response's body as it comes, without Lua, after the
// task has ended. Takes the response.
static int pass(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  int status = (int)luaL_checkinteger(L, 3);
  size_t max = lua_rawlen(L, 4) / 2;
  struct field *fields = lua_newuserdatauv(L, (max + 1) * sizeof *fields, 0);
  size_t n = read_fields_up_to(L, 4, fields, max);
  struct buf *rest = push_buf(L);
  struct fetch *f = upstream_take(upstream_check(L, 2), rest);
  if (!f) return raise_error(L, "reply.pass: the response is closed, or its body is read");
  struct stream *s = ex ? ex->stream : NULL;
  bool is_ours = s && s->state == STREAM_WAITING;
  if (is_ours) s->is_live = is_event_stream(f);
  if (is_ours) stream_open_raw(s, status, fields, n, announced_length(f));
  if (is_ours && s->state == STREAM_OPEN) {
    ex->detached = true;
    pass_body(f, buf_span(rest), s);
  } else fetch_free(f);
  buf_deinit(rest);
  return 0;
}

void pass_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"response_fields", response_fields},
                                       {"request_fields", request_fields},
                                       {"request_target", request_target},
                                       {"request_length", request_length},
                                       {"pass", pass},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
