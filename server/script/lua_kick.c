// SPDX-License-Identifier: MIT
// The names of streams, and their end from elsewhere. What the arguments are is the library's to check.
#include <lauxlib.h>
#include "script/bindings.h"
#include "script/exchange.h"
#include "script/raise.h"
#include "script/vm.h"
#include "serve/kick.h"
#include "serve/tags.h"

static struct span check_span(lua_State *L, int index) {
  struct span s;
  s.bytes = luaL_checklstring(L, index, &s.len);
  return s;
}

// core.tag(req, name): gives the request's stream a tag.
static int core_tag(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  if (!ex) return 2;
  if (!tags_add(ex->stream, check_span(L, 2)))
    return raise_error(L, "req:tag: a request has %d tags at most", (int)TAGS_MAX);
  lua_pushboolean(L, 1);
  return 1;
}

// core.kick("tag" | "channel" | "stream", name, reason, retry)
static int core_kick(lua_State *L) {
  static const char *const whats[] = {"tag", "channel", "stream", NULL};
  const struct kick k = {.what = (enum kick_what)luaL_checkoption(L, 1, NULL, whats),
                         .name = check_span(L, 2),
                         .reason = check_span(L, 3),
                         .retry = luaL_checknumber(L, 4)};
  kick_everywhere(vm_of(L)->service, &k);
  return 0;
}

// core.kick_self(req, reason): ends the request's own stream.
static int core_kick_self(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  if (!ex) return 2;
  kick_one(ex->stream, check_span(L, 2));
  return 0;
}

void kick_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"tag", core_tag}, {"kick", core_kick}, {"kick_self", core_kick_self}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
