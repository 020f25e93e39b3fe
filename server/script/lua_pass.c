// SPDX-License-Identifier: MIT
// What goes through unread, in either direction, is what belongs to the message: fields of the connection
// stay behind, and so does whatever our own head could not hold.
#include "script/lua_pass.h"
#include <lauxlib.h>
#include "base/digits.h"
#include "client/pass.h"
#include "http/hop_by_hop.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/lua_fields.h"
#include "script/raise.h"
#include "script/upstream.h"

// Whether a client gets it. Date is the server's own.
static bool is_passed(const struct field *field, const struct field *fields, size_t count) {
  return !span_equal_nocase(field->name, SPAN("date")) && field_is_sendable(field) &&
         !is_hop_by_hop(field->name, fields, count);
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

// core.response_fields(res): those of its fields that a client gets, as a flat list of names and values.
static int response_fields(lua_State *L) {
  size_t count;
  const struct field *fields = push_copy(L, upstream_check(L, 1), &count);
  lua_Integer n = 0;
  if (!fields) return raise_error(L, "reply.pass: the response is closed, or its body is read");
  lua_createtable(L, (int)MIN(count, 1000u) * 2, 0);
  for (size_t i = 0; i < count; i++) {
    if (!is_passed(&fields[i], fields, count)) continue;
    lua_pushlstring(L, fields[i].name.bytes, fields[i].name.len);
    lua_rawseti(L, -2, ++n);
    push_span(L, fields[i].value);
    lua_rawseti(L, -2, ++n);
  }
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

// Answers with what the response has, in its place `fields`; takes it. Does not raise.
static void pass_on(struct exchange *ex, struct upstream *r, int status, const struct field *fields,
                    size_t count) {
  struct buf rest = {0};
  struct fetch *f = upstream_take(r, &rest);
  struct stream *s = ex ? ex->stream : NULL;
  bool is_ours = s && s->state == STREAM_WAITING;
  if (is_ours) s->is_live = is_event_stream(f);
  if (is_ours) stream_open_raw(s, status, fields, count, announced_length(f));
  if (is_ours && s->state == STREAM_OPEN) {
    ex->detached = true;
    pass_body(f, buf_span(&rest), s);
  } else fetch_free(f);
  buf_deinit(&rest);
}

// core.pass(req, res, status, fields): answers with the response's body as it comes, without Lua, after the
// task has ended. Takes the response.
static int pass(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  int status = (int)luaL_checkinteger(L, 3);
  size_t max = lua_rawlen(L, 4) / 2;
  struct field *fields = lua_newuserdatauv(L, (max + 1) * sizeof *fields, 0);
  size_t n = read_fields_up_to(L, 4, fields, max);
  struct upstream *r = upstream_check(L, 2);
  if (!r->fetch) return raise_error(L, "reply.pass: the response is closed, or its body is read");
  pass_on(ex, r, status, fields, n);
  return 0;
}

static int pass_whole(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct upstream *r = upstream_check(L, 2);
  if (upstream_awaits_head(r)) return upstream_await(L, r, "reply.proxy", pass_whole);
  size_t room = r->fetch ? r->fetch->field_count : 0, n = 0;
  struct field *fields = lua_newuserdatauv(L, (room + 1) * sizeof *fields, 0);
  const struct fetch *f = r->fetch; // making room may have closed it
  if (!f || !f->has_head) return upstream_push_end(L, r);
  for (size_t i = 0; i < f->field_count; i++)
    if (is_passed(&f->fields[i], f->fields, f->field_count)) fields[n++] = f->fields[i];
  pass_on(exchange_check(L, 1), r, f->status <= 599 ? f->status : 502, fields, n);
  lua_pushboolean(L, true);
  return 1;
}

// core.pass_whole(req, res): waits for the head, and passes all of it on: true; nil, message and code.
static int core_pass_whole(lua_State *L) { return pass_whole(L, LUA_OK, 0); }

void pass_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"response_fields", response_fields}, {"pass", pass}, {"pass_whole", core_pass_whole}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
