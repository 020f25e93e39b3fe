// SPDX-License-Identifier: MIT
// What an application in memory asks of its spec, in place of another host: values that go over as copies, to
// a function of the spec's, and come back by a call, at once or as the server's time goes on.
#pragma once
#include <lauxlib.h>
#include "base/list.h"

struct vm;

struct spec_asks {
  struct list waiting; // of who has asked
  lua_State *L;        // of who has the server go on: set before it does
  int answer;          // a reference to the function; LUA_NOREF: nobody answers
  lua_Integer count;   // ever
};

void spec_asks_init(struct spec_asks *a);
void spec_asks_deinit(struct spec_asks *a, lua_State *L);

// Gives a state core.ask_spec(...), which waits for the answer and returns it. Call once the library is
// there.
void spec_asks_add(struct spec_asks *a, struct vm *vm);

// Calls the spec's function, answer(number, ...), for what has been asked since. Whether there was anything.
// May raise what that function raises.
bool spec_asks_poll(struct spec_asks *a);

// What a server's methods are made of:
//   answer_by(fn)          who answers
//   answer(number, ...)    true; false where nobody waits for it any more
int spec_asks_answer_by(lua_State *L, struct spec_asks *a);
int spec_asks_answer(lua_State *L, struct spec_asks *a);
