// SPDX-License-Identifier: MIT
// Whoever asks first decides whether the body is collected or read in pieces, and with that how large it may
// be. A body that is refused has been answered: the request's own task is ended at its wait, like one whose
// client has left.
#include "script/lua_body.h"
#include <lauxlib.h>
#include "script/class.h"
#include "script/exchange.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

static int refused(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return push_failure(L, "closed");
}

int body_refused(lua_State *L, const char *what) {
  struct task *t = task_check(L, what);
  return task_wait(L, t, t->vm->loop->now, 0, refused);
}

static int raise_begun(lua_State *L, const char *what) {
  return raise_error(L, "%s: the reply has begun; read the body before it and keep it in a local", what);
}

static int push_body(lua_State *L, struct exchange *ex, size_t max) {
  if (ex->stream->body.len > max) return push_failure(L, "too large");
  push_span(L, buf_span(&ex->stream->body));
  return 1;
}

static int body_arrived(lua_State *L, int status, lua_KContext max) {
  (void)status;
  struct exchange *ex = exchange_open(L, 1);
  if (!ex) return 2;
  if (ex->stream->state != STREAM_WAITING) return push_failure(L, "closed");
  if (!ex->stream->body_done) return exchange_wait(L, ex, "req:body", max, body_arrived);
  return push_body(L, ex, (size_t)max);
}

int request_body(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  lua_Integer max = luaL_optinteger(L, 2, LUA_MAXINTEGER);
  if (!ex) return 2;
  if (max < 0) return raise_error(L, "req:body: expected 0 or more bytes, got %lld", (long long)max);
  if (ex->request->body == BODY_NONE) return lua_pushliteral(L, ""), 1;
  if (ex->stream->state != STREAM_WAITING) return raise_begun(L, "req:body");
  if (ex->stream->reading == BODY_IN_PIECES)
    return raise_error(L, "req:body: the body is read in pieces already, by req:chunks or req:form");
  if (max < LUA_MAXINTEGER && ex->request->content_length > (uint64_t)max) // no need to wait for it
    return push_failure(L, "too large");
  if (!stream_want_body(ex->stream, BODY_WHOLE, ex->vm->settings->limits.body))
    return body_refused(L, "req:body");
  return body_arrived(L, LUA_OK, (lua_KContext)max);
}

enum { PIECES_REQUEST = 1, PIECES_ENDED };

// The iterator. A body that has been collected before is one piece.
static int next_piece(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct exchange *ex = exchange_in(lua_touserdata(L, lua_upvalueindex(PIECES_REQUEST)));
  if (lua_toboolean(L, lua_upvalueindex(PIECES_ENDED))) return lua_pushnil(L), 1;
  if (!ex || !ex->stream) return push_failure(L, "closed");
  struct stream *s = ex->stream;
  if (s->state != STREAM_WAITING) return raise_begun(L, "req:chunks");
  bool in_pieces = s->reading == BODY_IN_PIECES, is_there = s->body.len && (in_pieces || s->body_done);
  if (!is_there && !s->body_done) return exchange_wait(L, ex, "req:chunks", 0, next_piece);
  if (is_there) push_span(L, buf_span(&s->body));
  else lua_pushnil(L);
  if (is_there && in_pieces) stream_body_taken(s);
  else lua_pushboolean(L, true), lua_replace(L, lua_upvalueindex(PIECES_ENDED));
  return 1;
}

static int first_piece(lua_State *L) { return next_piece(L, LUA_OK, 0); }

static uint64_t check_max(lua_State *L, const struct exchange *ex) {
  if (lua_isnoneornil(L, 2)) return ex->vm->settings->limits.body;
  lua_Number max = lua_tonumber(L, 2);
  if (lua_type(L, 2) != LUA_TNUMBER) raise_type(L, 2, "req:chunks", "a number of bytes");
  if (!(max >= 0)) raise_error(L, "req:chunks: expected 0 or more bytes, got %g", max);
  return max < 0x1p64 ? (uint64_t)max : UINT64_MAX;
}

// What is left for another task than the request's own is an iterator that says so.
static int pieces(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  lua_pushvalue(L, 1);
  lua_pushboolean(L, false);
  lua_pushcclosure(L, first_piece, 2);
  return 1;
}

int request_chunks(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  if (!ex || !ex->stream) return pieces(L, LUA_OK, 0);
  uint64_t max = check_max(L, ex);
  if (ex->stream->state != STREAM_WAITING) return raise_begun(L, "req:chunks");
  if (stream_want_body(ex->stream, BODY_IN_PIECES, max)) return pieces(L, LUA_OK, 0);
  struct task *t = task_check(L, "req:chunks");
  return task_wait(L, t, t->vm->loop->now, 0, pieces);
}
