// SPDX-License-Identifier: MIT
// A row of ticks keeps its rate: each is due one period after the last one was, even where that came late.
// Where several have been missed, for a client that takes nothing or a turn that took long, the last of them
// comes at once and the others never do. The function that returns them and the loop that sends them go on
// where the other has left it. The latter is why a tick costs one entry into Lua: nothing runs between the
// timer and the user's function.
#include "script/ticker.h"
#include <lauxlib.h>
#include <math.h>
#include "script/lua_event.h"
#include "script/exchange.h"
#include "script/task.h"
#include "script/vm.h"

struct ticker {
  double period, due; // due < 0: none has been asked for
  lua_Integer count;
};

enum { TICKER = 1, FN, REFUSAL }; // upvalues; without a function FN is the place at which it was made

// When the next tick is due.
static double ticker_next(struct ticker *k, double now) {
  if (k->due < 0) k->due = now + k->period;
  double due = k->due;
  if (due + k->period <= now) due += floor((now - due) / k->period) * k->period;
  k->due = due + k->period;
  return due;
}

static int made(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  if (!lua_isnil(L, -1) || lua_isnil(L, lua_upvalueindex(REFUSAL))) return 1;
  lua_pushvalue(L, lua_upvalueindex(REFUSAL));
  lua_pushvalue(L, lua_upvalueindex(FN));
  lua_call(L, 1, 1);
  return lua_error(L);
}

static int ticked(lua_State *L, int status, lua_KContext context) {
  struct ticker *k = lua_touserdata(L, lua_upvalueindex(TICKER));
  (void)status, (void)context;
  lua_pushvalue(L, lua_upvalueindex(FN));
  lua_pushinteger(L, ++k->count);
  if (!lua_isfunction(L, -2)) return 1;
  lua_callk(L, 1, 1, 0, made);
  return made(L, LUA_OK, 0);
}

static int next_tick(lua_State *L) {
  struct task *t = task_check(L, "sse.interval");
  lua_settop(L, 0);
  return task_wait(L, t, ticker_next(lua_touserdata(L, lua_upvalueindex(TICKER)), task_look(t)), 0, ticked);
}

int lua_ticker(lua_State *L) {
  lua_settop(L, 3);
  struct ticker *k = lua_newuserdatauv(L, sizeof *k, 0);
  *k = (struct ticker){.period = lua_tonumber(L, 1), .due = -1};
  lua_replace(L, 1);
  lua_pushcclosure(L, next_tick, 3);
  return 1;
}

// The rest of a tick, once its event is in the stream. `context`, as below: the ticker, which the function
// has.
static int go_on(lua_State *L, int status, lua_KContext context) {
  struct task *t = vm_of(L)->current;
  const struct stream *s = t->exchange->stream;
  (void)status;
  if (!s || s->state != STREAM_OPEN) return 0;
  return task_again(t, ticker_next((struct ticker *)context, task_look(t)));
}

// Sends the value on top.
static int send_made(lua_State *L, int status, lua_KContext context) {
  struct exchange *ex = vm_of(L)->current->exchange;
  bool is_over = lua_isnil(L, -1);
  if (is_over) made(L, status, context);
  if (is_over || !ex->stream || ex->stream->state != STREAM_OPEN) return 0;
  stream_send(ex->stream, event_of_value(L, -1));
  if (stream_is_full(ex->stream)) return exchange_wait(L, ex, "send", context, go_on);
  return go_on(L, LUA_OK, context);
}

// A task's repeated function. Upvalues as those of next_tick. What makes the values stays on the stack, for
// an error to name it.
static int tick(lua_State *L) {
  struct ticker *k = lua_touserdata(L, lua_upvalueindex(TICKER));
  lua_pushvalue(L, lua_upvalueindex(FN));
  bool has_fn = lua_isfunction(L, 1);
  if (has_fn) lua_pushvalue(L, 1);
  lua_pushinteger(L, ++k->count);
  if (has_fn) lua_callk(L, 1, 1, (lua_KContext)k, send_made);
  return send_made(L, LUA_OK, (lua_KContext)k);
}

int ticker_push_source(lua_State *L, int index) {
  if (lua_tocfunction(L, index) != tick) return LUA_TNONE;
  lua_getupvalue(L, index, FN);
  return lua_type(L, -1);
}

int core_tick(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  bool is_ticker = lua_tocfunction(L, 2) == next_tick;
  if (is_ticker && ex->stream) {
    lua_getupvalue(L, 2, TICKER);
    struct ticker *k = lua_touserdata(L, -1);
    lua_getupvalue(L, 2, FN);
    lua_getupvalue(L, 2, REFUSAL);
    lua_pushcclosure(L, tick, 3);
    exchange_hand_on(ex, task_repeat(L, ticker_next(k, loop_time(ex->vm->loop))));
  }
  lua_pushboolean(L, is_ticker);
  return 1;
}
