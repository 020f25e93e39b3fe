// SPDX-License-Identifier: MIT
// What a disk does to a file is done to the connection instead: a limit of pages, the right to write, a
// commit that fails. Time is the server's, which stands.
#include "harness/sqlite_probe.h"
#include <lauxlib.h>
#include "script/class.h"
#include "store/sqlite_upkeep.h"

enum { WORK_MAX = 100000 };
static const char META[] = "spate.harness.sqlite";

static struct sqlite_store *check_store(lua_State *L) {
  struct sqlite_store **s = *(struct sqlite_store ***)luaL_checkudata(L, 1, META);
  luaL_argcheck(L, *s, 1, "the server is closed");
  return *s;
}

static struct sqlite_store *check_still(lua_State *L) {
  struct sqlite_store *s = check_store(L);
  luaL_argcheck(L, !s->has_thread, 1, "its thread runs: finish it first");
  return s;
}

// store:work(): one step of what its thread does; false where there was nothing to do.
static int probe_work(lua_State *L) {
  lua_pushboolean(L, sqlite_store_work(check_still(L)));
  return 1;
}

// store:rest(): how long its thread would sleep now.
static int probe_rest(lua_State *L) {
  lua_pushnumber(L, sqlite_upkeep_wait(check_still(L)));
  return 1;
}

// store:settle(): steps until nothing is left to do; how many.
static int probe_settle(lua_State *L) {
  struct sqlite_store *s = check_still(L);
  lua_Integer n = 0;
  while (n < WORK_MAX && sqlite_store_work(s)) n++;
  lua_pushinteger(L, n);
  return 1;
}

// store:begin(): a thread does it; store:finish() ends it once nothing is left, and the store with it.
static int probe_begin(lua_State *L) {
  lua_pushboolean(L, sqlite_store_start(check_still(L)));
  return 1;
}

static int probe_finish(lua_State *L) {
  lua_pushboolean(L, sqlite_store_stop(check_store(L), 10));
  return 1;
}

// store:execute(sql): on its connection, between two transactions. True, or nil and what SQLite says.
static int probe_execute(lua_State *L) {
  const char *why = sqlite_db_execute(&check_still(L)->db, luaL_checkstring(L, 2));
  lua_pushboolean(L, !why);
  lua_pushstring(L, why);
  return 2;
}

// store:fail_commits(n): the next n transactions fail as they are committed.
static int probe_fail_commits(lua_State *L) {
  sqlite_db_fail_commits(&check_still(L)->db, (int)luaL_checkinteger(L, 2));
  return 0;
}

// store:lease("owned" | "lent" | "given"): whose the file is from now on.
static int probe_lease(lua_State *L) {
  static const char *const words[] = {"owned", "lent", "given", NULL};
  sqlite_store_lease(check_still(L), (enum sqlite_lease)luaL_checkoption(L, 2, NULL, words));
  return 0;
}

// store:counters()
static int probe_counters(lua_State *L) {
  struct store_counters *c = &check_store(L)->store.counters;
  const struct {
    const char *name;
    atomic_ulong *value;
  } rows[] = {{"kept", &c->kept_total},
              {"trimmed", &c->trimmed_total},
              {"commits", &c->commits_total},
              {"refused", &c->refused_total},
              {"failed", &c->failed_total},
              {"waiting", &c->waiting},
              {"bytes", &c->bytes}};
  lua_newtable(L);
  for (size_t i = 0; i < countof(rows); i++) {
    lua_pushinteger(L, (lua_Integer)atomic_load(rows[i].value));
    lua_setfield(L, -2, rows[i].name);
  }
  return 1;
}

void sqlite_probe_push(lua_State *L, int owner, struct sqlite_store **s) {
  struct sqlite_store ***box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = s;
  luaL_setmetatable(L, META);
  lua_pushvalue(L, owner);
  lua_setiuservalue(L, -2, 1);
}

void sqlite_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"work", probe_work},
                                     {"settle", probe_settle},
                                     {"rest", probe_rest},
                                     {"begin", probe_begin},
                                     {"finish", probe_finish},
                                     {"execute", probe_execute},
                                     {"fail_commits", probe_fail_commits},
                                     {"lease", probe_lease},
                                     {"counters", probe_counters},
                                     {NULL, NULL}};
  class_new(L, META, methods, NULL);
}
