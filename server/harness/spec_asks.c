// SPDX-License-Identifier: MIT
// A question is its task's, on whose stack it is held; whoever answers looks for it by its number, since the
// task may have gone.
#include "harness/spec_asks.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/copy.h"
#include "script/held.h"
#include "script/task.h"
#include "script/vm.h"

struct spec_ask {
  struct held held;
  struct list link; // in those that wait
  lua_Integer number;
  struct buf words, results;
  int word_count, result_count;
  bool is_told, is_answered;
  struct waitlist answered;
};

void spec_asks_init(struct spec_asks *a) {
  *a = (struct spec_asks){.answer = LUA_NOREF};
  list_init(&a->waiting);
}

void spec_asks_deinit(struct spec_asks *a, lua_State *L) {
  luaL_unref(L, LUA_REGISTRYINDEX, a->answer);
  a->answer = LUA_NOREF;
}

static void drop_ask(struct vm *vm, struct held *h) {
  struct spec_ask *q = container_of(h, struct spec_ask, held);
  (void)vm;
  list_remove(&q->link);
  buf_deinit(&q->words);
  buf_deinit(&q->results);
  free(q);
}

static int ask_answered(lua_State *L, int status, lua_KContext box) {
  struct held *const *held = lua_touserdata(L, (int)box);
  struct spec_ask *q = container_of(*held, struct spec_ask, held);
  (void)status;
  if (!q->is_answered) return task_wait_in(L, vm_of(L)->current, &q->answered, INFINITY, box, ask_answered);
  struct span in = buf_span(&q->results);
  luaL_checkstack(L, q->result_count, "too many results");
  for (int i = 0; i < q->result_count; i++) copy_read(L, &in);
  return q->result_count;
}

static int ask_spec(lua_State *L) {
  struct spec_asks *a = lua_touserdata(L, lua_upvalueindex(1));
  int count = lua_gettop(L);
  task_check(L, "core.ask_spec");
  struct held **box = held_push_closed(L);
  struct spec_ask *q = xcalloc(1, sizeof *q);
  q->number = ++a->count;
  list_init(&q->link);
  waitlist_init(&q->answered);
  held_put(L, box, &q->held, drop_ask);
  for (int i = 1; i <= count; i++, q->word_count++)
    if (!copy_write(L, i, &q->words, SIZE_MAX))
      return luaL_error(L, "what is asked of a spec%s", lua_tostring(L, -1));
  list_append(&a->waiting, &q->link);
  return ask_answered(L, LUA_OK, count + 1);
}

static int add(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "spate.core");
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, ask_spec, 1);
  lua_setfield(L, -2, "ask_spec");
  return 0;
}

void spec_asks_add(struct spec_asks *a, struct vm *vm) {
  lua_pushcfunction(vm->L, add);
  lua_pushlightuserdata(vm->L, a);
  if (vm_pcall(vm, 1, 0) != LUA_OK) lua_pop(vm->L, 1); // no memory: there is none to ask
}

static struct spec_ask *next_untold(struct spec_asks *a) {
  list_each (node, &a->waiting) {
    struct spec_ask *q = container_of(node, struct spec_ask, link);
    if (!q->is_told) return q;
  }
  return NULL;
}

bool spec_asks_poll(struct spec_asks *a) {
  bool any = false;
  if (a->answer == LUA_NOREF) return false;
  for (struct spec_ask *q; (q = next_untold(a)); any = true) {
    struct span in = buf_span(&q->words);
    int count = q->word_count;
    q->is_told = true;
    luaL_checkstack(a->L, count + 2, "too many values");
    lua_rawgeti(a->L, LUA_REGISTRYINDEX, a->answer);
    lua_pushinteger(a->L, q->number);
    for (int i = 0; i < count; i++) copy_read(a->L, &in);
    lua_call(a->L, count + 1, 0); // it may have the server go on, and the question be gone
  }
  return any;
}

int spec_asks_answer_by(lua_State *L, struct spec_asks *a) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  luaL_unref(L, LUA_REGISTRYINDEX, a->answer);
  a->answer = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

int spec_asks_answer(lua_State *L, struct spec_asks *a) {
  lua_Integer number = luaL_checkinteger(L, 2);
  int top = lua_gettop(L);
  list_each (node, &a->waiting) {
    struct spec_ask *q = container_of(node, struct spec_ask, link);
    if (q->number != number || q->is_answered) continue;
    buf_reset(&q->results, 0);
    q->result_count = 0;
    for (int i = 3; i <= top; i++, q->result_count++)
      if (!copy_write(L, i, &q->results, SIZE_MAX)) return luaL_error(L, "an answer%s", lua_tostring(L, -1));
    q->is_answered = true;
    waitlist_wake_all(&q->answered);
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushboolean(L, false);
  return 1;
}
