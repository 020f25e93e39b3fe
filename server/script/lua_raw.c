// SPDX-License-Identifier: MIT
// A large string is queued in slices, and the next one only once there is room, so what a client has not
// taken costs the queue's limit and no more, however much is written at once.
#include "script/lua_raw.h"
#include <lauxlib.h>
#include "script/exchange.h"
#include "script/lua_fields.h"
#include "script/raise.h"
#include "script/task.h"

enum { SLICE_MAX = 64 << 10 };

int core_open_raw(lua_State *L) {
  struct field fields[FIELDS_MAX];
  struct exchange *ex = exchange_check(L, 1);
  int status = (int)luaL_checkinteger(L, 2);
  struct span type;
  type.bytes = luaL_checklstring(L, 3, &type.len);
  size_t n = read_fields(L, 4, fields);
  int64_t length = luaL_optinteger(L, 5, -1);
  fields[n++] = (struct field){SPAN("Content-Type"), type};
  bool opens = ex && ex->stream && ex->stream->state == STREAM_WAITING;
  if (opens) {
    stream_open_raw(ex->stream, status, fields, n, length);
    opens = ex->stream->state == STREAM_OPEN;
  }
  lua_pushboolean(L, opens);
  return 1;
}

static bool is_open(const struct exchange *ex) {
  return ex && ex->stream && ex->stream->state == STREAM_OPEN;
}

// Stack: the bytes, how many of them are queued. `context`: the exchange, which the writer holds.
static int go_on(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct exchange *ex = (struct exchange *)context;
  struct span bytes;
  bytes.bytes = lua_tolstring(L, 1, &bytes.len);
  for (size_t at = (size_t)lua_tointeger(L, 2); is_open(ex) && at < bytes.len;) {
    size_t len = MIN(bytes.len - at, SLICE_MAX);
    stream_write(ex->stream, (struct span){bytes.bytes + at, len});
    at += len;
    if (!stream_is_full(ex->stream)) continue;
    lua_pushinteger(L, (lua_Integer)at);
    lua_replace(L, 2);
    return exchange_wait(L, ex, "write", context, go_on);
  }
  if (!is_open(ex)) return push_failure(L, "closed");
  lua_pushboolean(L, true);
  return 1;
}

int raw_write(lua_State *L, struct exchange *ex, int index) {
  size_t len;
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) return raise_type(L, index, "write", "a string");
  lua_tolstring(L, index, &len);
  if (!is_open(ex)) return push_failure(L, "closed");
  task_check(L, "write");
  const struct stream *s = ex->stream;
  if (s->framing == FRAMING_LENGTH && len > s->length_left)
    return raise_error(L, "write: %zu bytes, but only %llu are left of the length that was announced", len,
                       (unsigned long long)s->length_left);
  lua_pushvalue(L, index);
  lua_replace(L, 1);
  lua_settop(L, 1);
  lua_pushinteger(L, 0);
  return go_on(L, LUA_OK, (lua_KContext)ex);
}

static int lua_write(lua_State *L) {
  struct exchange *ex = exchange_in(lua_touserdata(L, lua_upvalueindex(1)));
  return raw_write(L, ex, 1);
}

int core_writer(lua_State *L) {
  exchange_check(L, 1);
  lua_settop(L, 1);
  lua_pushcclosure(L, lua_write, 1);
  return 1;
}

int core_raw_left(lua_State *L) {
  const struct exchange *ex = exchange_check(L, 1);
  if (is_open(ex) && ex->stream->framing == FRAMING_LENGTH)
    lua_pushinteger(L, (lua_Integer)ex->stream->length_left);
  else lua_pushnil(L);
  return 1;
}
