// SPDX-License-Identifier: MIT
// A spec's thread takes the place of the store's: what it does there, it does between two turns of servers.
#include "harness/store_probe.h"
#include <lauxlib.h>
#include <time.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/class.h"

static const double SETTLE_SECONDS = 10;
static const char META[] = "spate.harness.redis_store";

static struct redis_store *check_store(lua_State *L) {
  struct redis_store **s = *(struct redis_store ***)luaL_checkudata(L, 1, META);
  luaL_argcheck(L, *s, 1, "the server is closed");
  return *s;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// store:settle([seconds]): until all is answered that was asked; then for so many seconds (0.01) of the
// machine's clock what is published.
static int probe_settle(lua_State *L) {
  struct redis_store *s = check_store(L);
  double until = seconds() + SETTLE_SECONDS, more = luaL_optnumber(L, 2, 0.01);
  while (redis_store_waiting(s) && seconds() < until) redis_store_poll(s, 0.01);
  if (redis_store_waiting(s)) return luaL_error(L, "the store does not answer");
  for (until = seconds() + more; seconds() < until;) redis_store_poll(s, more);
  return 0;
}

// store:poll(seconds): what there is within so many of the machine's clock, answered or not.
static int probe_poll(lua_State *L) {
  struct redis_store *s = check_store(L);
  double until = seconds() + luaL_checknumber(L, 2);
  do redis_store_poll(s, 0.01);
  while (seconds() < until);
  return 0;
}

// store:tell(text): to all that share it; store:told(): what this one was told since the last time, or nil.
static char *told;

static void on_told(struct store_listener *l, struct span message) {
  (void)l;
  free(told);
  told = xmalloc(message.len + 1);
  memcpy(told, message.bytes, message.len);
  told[message.len] = '\0';
}

static int probe_tell(lua_State *L) {
  struct span message;
  struct store *s = redis_store_base(check_store(L));
  message.bytes = luaL_checklstring(L, 2, &message.len);
  store_tell(s, message);
  return 0;
}

static int probe_told(lua_State *L) {
  static struct store_listener listener = {.on_told = on_told};
  redis_store_base(check_store(L))->listener = &listener;
  lua_pushstring(L, told);
  free(told);
  told = NULL;
  return 1;
}

void store_probe_push(lua_State *L, int owner, struct redis_store **s) {
  struct redis_store ***box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = s;
  luaL_setmetatable(L, META);
  lua_pushvalue(L, owner);
  lua_setiuservalue(L, -2, 1);
}

void store_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"settle", probe_settle},
                                     {"poll", probe_poll},
                                     {"tell", probe_tell},
                                     {"told", probe_told},
                                     {NULL, NULL}};
  class_new(L, META, methods, NULL);
}
