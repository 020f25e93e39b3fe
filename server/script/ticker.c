// SPDX-License-Identifier: MIT
// A row of ticks keeps its rate: each is due one period after the last one was, however late that came. The
// function that returns them and the loop that sends them go on where the other has left it. The latter is why
// a tick costs one entry into Lua: nothing runs between the timer and the user's function.
#include "script/ticker.h"
#include <lauxlib.h>
#include "script/lua_event.h"
#include "script/exchange.h"
#include "script/task.h"
#include "script/vm.h"

struct ticker {
  double period, due; // due < 0: none has been asked for
  lua_Integer count;
};

enum { TICKER = 1, FN, REFUSAL }; // upvalues

// When the next tick is due.
static double ticker_next(struct ticker *k, const struct vm *vm) {
  if (k->due < 0) k->due = loop_time(vm->loop) + k->period;
  double due = k->due;
  k->due += k->period;
  return due;
}

// `refusal` and `fn` on top: raises what the former makes of the latter.
static int refuse_nil(lua_State *L) {
  lua_call(L, 1, 1);
  return lua_error(L);
}

static int made(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  if (!lua_isnil(L, -1) || lua_isnil(L, lua_upvalueindex(REFUSAL))) return 1;
  lua_pushvalue(L, lua_upvalueindex(REFUSAL));
  lua_pushvalue(L, lua_upvalueindex(FN));
  return refuse_nil(L);
}

static int ticked(lua_State *L, int status, lua_KContext context) {
  struct ticker *k = lua_touserdata(L, lua_upvalueindex(TICKER));
  (void)status, (void)context;
  lua_pushvalue(L, lua_upvalueindex(FN));
  lua_pushinteger(L, ++k->count);
  if (lua_isnil(L, -2)) return 1;
  lua_callk(L, 1, 1, 0, made);
  return made(L, LUA_OK, 0);
}

static int next_tick(lua_State *L) {
  struct task *t = task_check(L, "sse.interval");
  lua_settop(L, 0);
  return task_wait(L, t, ticker_next(lua_touserdata(L, lua_upvalueindex(TICKER)), t->vm), 0, ticked);
}

int lua_ticker(lua_State *L) {
  lua_settop(L, 3);
  struct ticker *k = lua_newuserdatauv(L, sizeof *k, 0);
  *k = (struct ticker){.period = lua_tonumber(L, 1), .due = -1};
  lua_replace(L, 1);
  lua_pushcclosure(L, next_tick, 3);
  return 1;
}

// Where pump goes on: a tick is due, fn has returned its value, or the client has room again.
enum stage { STAGE_DUE, STAGE_MADE, STAGE_ROOM };

// The value on top, of the exchange's stream; false where that is the end.
static bool send_tick(lua_State *L, struct exchange *ex) {
  if (lua_isnil(L, -1) && !lua_isnil(L, 5)) {
    lua_pushvalue(L, 5);
    lua_pushvalue(L, 4);
    refuse_nil(L);
  }
  if (lua_isnil(L, -1) || !ex->stream) return false;
  stream_send(ex->stream, event_of_value(L, -1));
  return true;
}

// Stack: request, stream, ticker, fn, refusal.
static int pump(lua_State *L, int status, lua_KContext stage) {
  struct exchange *ex = exchange_in(lua_touserdata(L, 1));
  struct ticker *k = lua_touserdata(L, 3);
  (void)status;
  if (!ex || !ex->stream || ex->stream->state != STREAM_OPEN) return 0;
  if (stage == STAGE_DUE) {
    lua_settop(L, 5);
    lua_pushvalue(L, 4);
    lua_pushinteger(L, ++k->count);
    if (!lua_isnil(L, 4)) lua_callk(L, 1, 1, STAGE_MADE, pump);
    stage = STAGE_MADE;
  }
  if (stage == STAGE_MADE) {
    if (!send_tick(L, ex)) return 0;
    if (stream_is_full(ex->stream)) return exchange_wait(L, ex, "send", STAGE_ROOM, pump);
  }
  if (ex->stream->state != STREAM_OPEN) return 0;
  return task_wait(L, ex->task, ticker_next(k, ex->vm), STAGE_DUE, pump);
}

int ticker_pump(lua_State *L) {
  if (lua_tocfunction(L, 3) != next_tick) return -1;
  task_check(L, "sse.interval");
  lua_getupvalue(L, 3, TICKER);
  lua_getupvalue(L, 3, FN);
  lua_getupvalue(L, 3, REFUSAL);
  lua_remove(L, 3);
  return pump(L, LUA_OK, STAGE_ROOM);
}
