// SPDX-License-Identifier: MIT
// A response from Lua values, and `send`. Everything is checked before anything is queued, so an error leaves
// no half of a response behind.
#include "script/lua_stream.h"
#include <lauxlib.h>
#include <math.h>
#include "event/sse.h"
#include "http/negotiation.h"
#include "script/lua_event.h"
#include "script/lua_fields.h"
#include "script/lua_gzip.h"
#include "script/lua_raw.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

// `context`: the exchange, which the sender holds.
static int sent(lua_State *L, int status, lua_KContext context) {
  const struct exchange *ex = (const struct exchange *)context;
  (void)status;
  if (!ex->stream) return push_failure(L, "closed");
  lua_pushboolean(L, 1);
  return 1;
}

// Sends the value at `index`; waits where the client is behind.
static int send_value(lua_State *L, struct exchange *ex, int index) {
  if (!ex || !ex->stream || ex->stream->state != STREAM_OPEN) return push_failure(L, "closed");
  struct task *t = task_check(L, "send");
  stream_send(ex->stream, event_of_value(L, index));
  if (!stream_is_full(ex->stream)) return sent(L, LUA_OK, (lua_KContext)ex);
  return task_wait_in(L, t, &ex->waiting, INFINITY, (lua_KContext)ex, sent);
}

int stream_yield(lua_State *L, struct exchange *ex) {
  if (ex->stream && ex->stream->state == STREAM_WAITING)
    return raise_error(L, "coroutine.yield: no stream has begun; return sse.reply(function(send) ... end)");
  if (ex->stream && !ex->stream->is_sse) return raw_write(L, ex, 1);
  return send_value(L, ex, 1);
}

// A number is passed over, as gsub returns one.
static void refuse_second(lua_State *L) {
  int type = lua_type(L, 2);
  if (type == LUA_TSTRING || type == LUA_TTABLE)
    raise_error(L, "send: expected one event, got two values; a name and its data are "
                   "{ event = \"tick\", data = \"x\" }");
}

static int send(lua_State *L) {
  struct exchange *ex = exchange_in(lua_touserdata(L, lua_upvalueindex(1)));
  if (lua_gettop(L) > 1) refuse_second(L);
  return send_value(L, ex, 1);
}

// The loop of core.pump. Stack: request, stream, its pull(). `context`: a value has come and lies on top.
static int pump(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct exchange *ex = exchange_in(lua_touserdata(L, 1));
  for (bool has_value = context; ex && ex->stream && ex->stream->state == STREAM_OPEN; has_value = false) {
    if (!has_value) {
      lua_settop(L, 3);
      lua_pushvalue(L, 3);
      lua_callk(L, 0, 1, true, pump);
    }
    if (lua_isnil(L, -1) || !ex->stream) return 0;
    stream_send(ex->stream, event_of_value(L, -1));
    if (stream_is_full(ex->stream)) return exchange_wait(L, ex, "send", false, pump);
  }
  return 0;
}

int core_pump(lua_State *L) {
  exchange_check(L, 1);
  lua_settop(L, 2);
  lua_getfield(L, 2, "pull");
  lua_toclose(L, 2);
  return pump(L, LUA_OK, false);
}

int core_sender(lua_State *L) {
  exchange_check(L, 1);
  lua_settop(L, 1);
  lua_pushcclosure(L, send, 1);
  return 1;
}

int core_detach(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  if (ex) ex->detached = true;
  return 0;
}

static int check_status(lua_State *L, int index) {
  int is_integer;
  lua_Integer status = lua_tointegerx(L, index, &is_integer);
  if (!is_integer || lua_type(L, index) != LUA_TNUMBER || status < 200 || status > 599)
    raise_error(L, "status: expected an integer from 200 to 599, got %s", luaL_tolstring(L, index, NULL));
  return (int)status;
}

int core_prefers_json(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  lua_pushboolean(L, ex && ex->request && accept_prefers_json(ex->request));
  return 1;
}

int core_shows_errors(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  lua_pushboolean(L, ex && exchange_shows_errors(ex));
  return 1;
}

// core.answer(req, status, type, body, fields, compress)
int core_answer(lua_State *L) {
  struct field fields[FIELDS_MAX + GZIP_FIELDS];
  struct exchange *ex = exchange_check(L, 1);
  int status = check_status(L, 2);
  struct span body = {0}, type = {0};
  body.bytes = luaL_optlstring(L, 4, NULL, &body.len);
  size_t n = read_fields(L, 5, fields);
  type.bytes = luaL_optlstring(L, 3, NULL, &type.len);
  if (type.bytes) fields[n++] = (struct field){SPAN("Content-Type"), type};
  if (gzip_suits(status, type, body)) body = gzip_text(L, 6, ex, fields, &n, body);
  if (ex && ex->stream && ex->stream->state == STREAM_WAITING)
    stream_reply(ex->stream, status, fields, n, body);
  return 0;
}

// The comment that keeps a stream alive. Most streams have the same, so the last one is kept.
static struct event *comment_event(struct vm *vm, struct span text) {
  struct sse_fields f = SSE_NO_FIELDS;
  f.comment = text;
  size_t skip = text.len ? 2 : 1;
  struct event *old = vm->comment;
  if (old && event_bare_len(old) == skip + text.len + 2 &&
      !memcmp(old->bytes + old->bare_at + skip, text.bytes, text.len))
    return event_ref(old);
  event_unref(old);
  vm->comment = sse_encode(&f, sse_length(&f));
  return event_ref(vm->comment);
}

// core.open(req, status, fields, seconds between keep-alives, their text, compress, is_own): the last says
// that a compressed stream has a window of its own.
int core_open_stream(lua_State *L) {
  struct field fields[FIELDS_MAX + GZIP_FIELDS];
  struct exchange *ex = exchange_check(L, 1);
  int status = check_status(L, 2);
  size_t n = read_fields(L, 3, fields);
  double interval = luaL_checknumber(L, 4);
  struct span text = check_text(L, 5, "keep-alive text");
  bool opens = ex && ex->stream && ex->stream->state == STREAM_WAITING;
  if (opens) {
    if (gzip_choose(L, 6, ex, fields, &n)) stream_compress(ex->stream, lua_toboolean(L, 7));
    stream_open(ex->stream, status, fields, n, true);
    opens = ex->stream->state == STREAM_OPEN;
  }
  if (opens && interval > 0) stream_keep_alive(ex->stream, interval, comment_event(ex->vm, text));
  lua_pushboolean(L, opens);
  return 1;
}
