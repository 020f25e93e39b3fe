// SPDX-License-Identifier: MIT
// The names of streams, and their end from elsewhere. What the arguments are is the library's to check.
#include <lauxlib.h>
#include "script/bindings.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/lua_survey.h"
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

// "tag" | "channel" | "stream", name, reason, retry
static struct kick check_kick(lua_State *L, int index) {
  static const char *const whats[] = {"tag", "channel", "stream", NULL};
  return (struct kick){.what = (enum kick_what)luaL_checkoption(L, index, NULL, whats),
                       .name = check_span(L, index + 1),
                       .reason = check_span(L, index + 2),
                       .retry = luaL_checknumber(L, index + 3)};
}

// core.kick(what, name, reason, retry)
static int core_kick(lua_State *L) {
  const struct kick k = check_kick(L, 1);
  kick_everywhere(vm_of(L)->service, &k);
  return 0;
}

// core.kick_elsewhere(what, name, reason, retry): other servers only; whether there are any.
static int core_kick_elsewhere(lua_State *L) {
  const struct kick k = check_kick(L, 1);
  lua_pushboolean(L, kick_elsewhere(vm_of(L)->service, &k));
  return 1;
}

// core.kick_asking(seconds, what, name, reason, retry): this server only; a list of how many streams each
// worker had, as a text, or false of one that has not said so in time.
static int core_kick_asking(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  const struct kick k = check_kick(L, 2);
  struct buf *about = push_buf(L);
  kick_write(service_subject(vm_of(L)->service), &k, about);
  return survey_ask(L, "spate.admin", seconds, kick_and_count, buf_span(about));
}

// core.kick_self(req, reason): ends the request's own stream.
static int core_kick_self(lua_State *L) {
  struct exchange *ex = exchange_open(L, 1);
  if (!ex) return 2;
  kick_one(ex->stream, check_span(L, 2));
  return 0;
}

void kick_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"tag", core_tag},
                                       {"kick", core_kick},
                                       {"kick_elsewhere", core_kick_elsewhere},
                                       {"kick_asking", core_kick_asking},
                                       {"kick_self", core_kick_self},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
