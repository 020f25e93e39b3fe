// SPDX-License-Identifier: MIT
// What stands for Redis servers in a spec: connections in memory, and a function of the spec's that is told
// of the bytes which have come, and answers by a call, at once or as the server's time goes on.
#pragma once
#include <lauxlib.h>
#include "client/redis_link.h"

struct stub_redis {
  struct redis_home home;
  struct list connections;
  lua_State *L; // of who has the server go on: set before it does
  int answer;   // a reference; LUA_NOREF: nobody answers, and connections are refused
  int count;    // connections ever
  bool refuses;
};

void stub_redis_init(struct stub_redis *s, struct loop *l);
void stub_redis_deinit(struct stub_redis *s, lua_State *L);

// Moves bytes, and tells of those that have come: answer(number, bytes), or answer(number) of one that is
// closed. Whether there was anything. May raise what the spec's function raises.
bool stub_redis_poll(struct stub_redis *s);

// What a server's methods are made of:
//   redis(fn)                        who answers
//   redis_give(n, bytes [, after])   an answer on connection n, behind those before it
//   redis_cut([n])                   ends connection n, or all
//   redis_refuse(on)                 nobody listens
int stub_redis_answer_by(lua_State *L, struct stub_redis *s);
int stub_redis_give(lua_State *L, struct stub_redis *s);
int stub_redis_cut(lua_State *L, struct stub_redis *s);
