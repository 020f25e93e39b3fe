// SPDX-License-Identifier: MIT
// Lua's coroutine library over co_resume, which the watchdog follows, and generators whose waits pass through
// to the task that asks them. The coroutine of a task belongs to the run queue: scripts can neither resume
// nor close it.
#include "script/lua_coroutine.h"
#include <lauxlib.h>
#include "script/coroutine.h"
#include "script/lua_stream.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

enum { CLOSE_DEPTH_MAX = 200 }; // as Lua's own limit of C calls, which it does not apply here

// Resumes with the `nargs` values on top of L. The number of values now there instead, or -1 with an error.
static int pass(lua_State *L, lua_State *co, int nargs) {
  int nresults;
  if (!lua_checkstack(co, nargs)) return lua_pushliteral(L, "too many arguments to resume"), -1;
  lua_xmove(L, co, nargs);
  int status = co_resume(co, L, nargs, &nresults);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (!lua_checkstack(L, nresults + 1)) {
    lua_pop(co, nresults);
    return lua_pushliteral(L, "too many results to resume"), -1;
  }
  lua_xmove(co, L, nresults);
  return nresults;
}

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "thread");
  return co;
}

enum state { SUSPENDED, RUNNING, NORMAL, DEAD };

static enum state state_of(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (co == L) return RUNNING;
  switch (lua_status(co)) {
  case LUA_YIELD: return SUSPENDED;
  case LUA_OK: return lua_getstack(co, 0, &ar) ? NORMAL : lua_gettop(co) ? SUSPENDED : DEAD;
  default: return DEAD;
  }
}

// Why co cannot be resumed from L, or NULL. A task's coroutine would lose its place in the run queue.
static const char *resume_refusal(lua_State *L, lua_State *co) {
  enum state state = state_of(L, co);
  if (state == DEAD) return "cannot resume dead coroutine";
  if (state != SUSPENDED) return "cannot resume non-suspended coroutine";
  return is_task_coroutine(co)
             ? "cannot resume the coroutine of a task: the server does, once its wait is over"
             : NULL;
}

static int lua_co_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *why = resume_refusal(L, co);
  int n = -1;
  if (why) lua_pushstring(L, why);
  else n = pass(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, n >= 0);
  if (n < 0) n = 1;
  lua_insert(L, -(n + 1));
  return n + 1;
}

// Raises the error on top of L, its position added as coroutine.wrap does.
static int propagate(lua_State *L) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

// Runs the <close> variables of a coroutine whose error is on top of L; the error may be another one then.
static void close_failed(lua_State *L, lua_State *co) {
  if (vm_of(L)->close_depth >= CLOSE_DEPTH_MAX) return; // they are left to the collector
  lua_xmove(L, co, 1);
  co_close(co, L);
  lua_xmove(co, L, 1);
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  const char *why = resume_refusal(L, co);
  if (why) {
    lua_pushstring(L, why);
    return propagate(L);
  }
  int n = pass(L, co, lua_gettop(L));
  if (n >= 0) return n;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) close_failed(L, co);
  return propagate(L);
}

static int lua_co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

static int lua_co_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  enum state state = state_of(L, co);
  if (state == RUNNING) return luaL_error(L, "cannot close a running coroutine");
  if (state == NORMAL) return luaL_error(L, "cannot close a normal coroutine");
  if (is_task_coroutine(co)) return luaL_error(L, "cannot close the coroutine of a task; use task:cancel()");
  if (vm_of(L)->close_depth >= CLOSE_DEPTH_MAX)
    return luaL_error(L, "C stack overflow: too many coroutines close one another");
  if (co_close(co, L) == LUA_OK) return lua_pushboolean(L, 1), 1;
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

// In a stream function, yielding a value is sending it.
static int lua_co_yield(lua_State *L) {
  struct task *t = vm_of(L)->current;
  if (!t || L != t->co) return lua_yield(L, lua_gettop(L));
  if (t->exchange) return stream_yield(L, t->exchange);
  return raise_error(L, "coroutine.yield: a spawned task has nobody to yield to");
}

static int generator_step(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  struct task *t = vm_of(L)->current;
  enum state state = state_of(L, co);
  if (state == DEAD) return 0;
  if (state != SUSPENDED) return raise_error(L, "a generator cannot ask itself for its next value");
  bool passes = t && (t->wrap ? t->wrap->co == L : t->co == L);
  struct wrap w = {.co = co, .outer = t ? t->wrap : NULL};
  if (passes) t->wrap = &w;
  int nresults, result = co_resume(co, L, 0, &nresults);
  if (passes) t->wrap = w.outer;
  if (result == LUA_YIELD && passes && t->waiting) return lua_yieldk(L, 0, 0, generator_step);
  if (result == LUA_YIELD) {
    luaL_checkstack(L, nresults, "too many values");
    lua_xmove(co, L, nresults);
    return nresults;
  }
  if (result == LUA_OK) return lua_settop(co, 0), 0;
  lua_xmove(co, L, 1);
  close_failed(L, co);
  return lua_error(L);
}

static int generator_first_step(lua_State *L) { return generator_step(L, LUA_OK, 0); }

int lua_wrap(lua_State *L) {
  if (lua_isfunction(L, 1)) {
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
  } else if (lua_isthread(L, 1)) {
    if (is_task_coroutine(lua_tothread(L, 1)))
      return raise_error(L, "sse.from: the coroutine of a task yields to the server only");
    lua_pushvalue(L, 1);
  } else return raise_type(L, 1, "sse.wrap", "a function or a coroutine");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, generator_first_step, 1);
  lua_insert(L, -2);
  return 2;
}

void coroutine_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"resume", lua_co_resume},
                                       {"wrap", lua_co_wrap},
                                       {"yield", lua_co_yield},
                                       {"close", lua_co_close},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
