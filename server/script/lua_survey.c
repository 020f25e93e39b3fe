// SPDX-License-Identifier: MIT
// What a task asks of all workers. It waits until they have answered, or for so long; a worker that has not
// is told by its number.
#include "script/lua_survey.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/fetch.h"
#include "event/channel_list.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"
#include "script/worker_list.h"
#include "event/broker.h"
#include "serve/process_figures.h"
#include "serve/stream_list.h"

struct asking {
  struct held held; // by the task's stack
  struct survey *survey;
  struct waitlist waiter;
  double deadline;
};

static void on_done(struct job *j) {
  struct asking *a = container_of(j, struct survey, job)->owner;
  waitlist_wake_all(&a->waiter);
}

static void leave(struct held *h) {
  struct asking *a = container_of(h, struct asking, held);
  if (a->survey) survey_leave(a->survey);
  a->survey = NULL;
}

static void drop(struct vm *vm, struct held *h) {
  (void)vm;
  leave(h);
  free(container_of(h, struct asking, held));
}

// A list with each worker's answer, or false of one that has none yet.
static int push_answers(lua_State *L, const struct survey *s) {
  lua_createtable(L, (int)s->count, 0);
  for (size_t i = 0; i < s->count; i++) {
    const struct survey_answer *a = &s->answers[i];
    if (atomic_load_explicit(&a->is_there, memory_order_acquire)) push_span(L, buf_span(&a->out));
    else lua_pushboolean(L, 0);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int answered(lua_State *L, int status, lua_KContext index) {
  struct held *const *box = lua_touserdata(L, (int)index);
  struct asking *a = container_of(*box, struct asking, held);
  (void)status;
  bool is_over = atomic_load(&a->survey->unanswered) == 0 || loop_time(vm_of(L)->loop) >= a->deadline;
  if (!is_over) return task_wait_in(L, vm_of(L)->current, &a->waiter, a->deadline, index, answered);
  return push_answers(L, a->survey);
}

int survey_ask(lua_State *L, const char *what, double seconds, survey_fn *fn, struct span about) {
  struct task *t = task_check(L, what);
  struct held **box = held_push_closed(L);
  int index = lua_gettop(L);
  struct asking *a = xcalloc(1, sizeof *a);
  waitlist_init(&a->waiter);
  a->deadline = loop_time(t->vm->loop) + seconds;
  held_put(L, box, &a->held, drop);
  a->held.leave = leave;
  a->survey = survey_begin(t->vm->service, fn, about, on_done);
  a->survey->owner = a;
  return answered(L, LUA_OK, index);
}

static void copy_text(lua_State *L, int index, char *to, size_t size) {
  const char *text = luaL_optstring(L, index, "");
  luaL_argcheck(L, strlen(text) < size, index, "too long");
  strcpy(to, text);
}

static struct stream_query check_query(lua_State *L) {
  static const char *const orders[] = {"age", "bytes", "events", "queued", "lag", NULL};
  struct stream_query q = {.order = (enum stream_order)luaL_checkoption(L, 2, "age", orders),
                           .smallest_first = lua_toboolean(L, 3),
                           .rows = (uint32_t)luaL_checkinteger(L, 4)};
  copy_text(L, 5, q.tag, sizeof q.tag);
  copy_text(L, 6, q.text, sizeof q.text);
  copy_text(L, 7, q.id, sizeof q.id);
  return q;
}

static int list_streams(lua_State *L, const struct stream_query *q) {
  return survey_ask(L, "spate.streams", luaL_checknumber(L, 1), stream_list,
                    (struct span){(const char *)q, sizeof *q});
}

// core.list_streams(seconds, order, smallest_first, rows, tag, text, id [, key, id]): those from the place of
// that key and id on.
static int core_list_streams(lua_State *L) {
  struct stream_query q = check_query(L);
  q.has_first = !lua_isnoneornil(L, 8);
  if (q.has_first) q.first = (struct stream_place){luaL_checknumber(L, 8), (uint64_t)luaL_checkinteger(L, 9)};
  return list_streams(L, &q);
}

// core.list_stream_places(the same): where they stand, each as a key and an id, "=dj" of string.unpack.
static int core_list_stream_places(lua_State *L) {
  struct stream_query q = check_query(L);
  q.is_places = true;
  return list_streams(L, &q);
}

// core.survey("workers" | "tasks" | "upstreams", seconds): rows of JSON of each worker.
static int core_survey(lua_State *L) {
  static const char *const names[] = {"workers", "tasks", "upstreams", NULL};
  static survey_fn *const asks[] = {worker_list, task_list, fetch_list};
  int which = luaL_checkoption(L, 1, NULL, names);
  return survey_ask(L, "spate.admin", luaL_checknumber(L, 2), asks[which], SPAN(""));
}

static struct span check_span(lua_State *L, int index) {
  struct span s;
  s.bytes = luaL_checklstring(L, index, &s.len);
  return s;
}

// core.list_channels(order, is_reversed, rows, text, name [, skipped]): rows of JSON, with a line before them
// that says how many there are.
static int core_list_channels(lua_State *L) {
  static const char *const orders[] = {"name", "subscribers", "events", "bytes", NULL};
  const struct channel_query q = {.order = (enum channel_order)luaL_checkoption(L, 1, "name", orders),
                                  .is_reversed = lua_toboolean(L, 2),
                                  .rows = (size_t)luaL_checkinteger(L, 3),
                                  .text = check_span(L, 4),
                                  .name = check_span(L, 5),
                                  .skipped = (size_t)luaL_optinteger(L, 6, 0)};
  struct buf *out = push_buf(L);
  channel_list(vm_of(L)->service->broker, &q, out);
  push_span(L, buf_span(out));
  return 1;
}

// core.log_lines(after): the entries of the log behind that number, each with a NUL behind it, and the number
// of the newest. They are kept from the first call on.
static int core_log_lines(lua_State *L) {
  lua_Integer after = luaL_checkinteger(L, 1);
  struct buf *out = push_buf(L);
  uint64_t newest = log_kept((uint64_t)after, out);
  push_span(L, buf_span(out));
  lua_pushinteger(L, (lua_Integer)newest);
  return 2;
}

static void set_number(lua_State *L, const char *name, double n) {
  lua_pushnumber(L, n);
  lua_setfield(L, -2, name);
}

// An integer, unless it is none or too large for one, as of a limit that is none.
static void set_count(lua_State *L, const char *name, double n) {
  lua_Integer whole;
  if (lua_numbertointeger(n, &whole) && (double)whole == n) lua_pushinteger(L, whole);
  else lua_pushnumber(L, n);
  lua_setfield(L, -2, name);
}

// core.process_figures(): what the system knows of the process.
static int core_process_figures(lua_State *L) {
  const struct process_figures f = process_figures_read();
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, getpid());
  lua_setfield(L, -2, "pid");
  set_number(L, "cpu", f.cpu);
  set_count(L, "resident", f.resident);
  set_count(L, "descriptors", f.descriptors);
  set_count(L, "descriptors_max", f.descriptors_max);
  set_number(L, "started_at", f.started_at);
  return 1;
}

static void say_alive(struct service *s, struct span about, struct buf *out) {
  (void)s, (void)about;
  buf_append_byte(out, '1');
}

// core.ask_alive(seconds): an answer of each worker whose loop turns.
static int core_ask_alive(lua_State *L) {
  return survey_ask(L, "healthz", luaL_checknumber(L, 1), say_alive, SPAN(""));
}

// core.is_draining(): whether the server is about to end.
static int core_is_draining(lua_State *L) {
  struct service *s = vm_of(L)->service;
  lua_pushboolean(L, s->draining || atomic_load(&service_subject(s)->is_draining));
  return 1;
}

// core.is_loading(): whether the server has not begun to serve.
static int core_is_loading(lua_State *L) {
  lua_pushboolean(L, atomic_load(&service_subject(vm_of(L)->service)->is_loading));
  return 1;
}

// core.store_state(): nil without a store, "unavailable" where it is out of reach or has just refused, else
// "ok".
static int core_store_state(lua_State *L) {
  struct store *s = vm_of(L)->service->broker->store;
  if (!s) return 0;
  lua_pushstring(L, store_is_available(s) ? "ok" : "unavailable");
  return 1;
}

// core.admin_settings(): { token =, hosts = } of the admin listener; the token is nil where it has none.
static int core_admin_settings(lua_State *L) {
  const struct settings *s = vm_of(L)->settings;
  lua_createtable(L, 0, 2);
  lua_createtable(L, (int)s->admin.host_count, 0);
  for (unsigned i = 0; i < s->admin.host_count; i++) {
    lua_pushstring(L, s->admin.hosts[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "hosts");
  if (!*s->admin.token) return 1;
  lua_pushstring(L, s->admin.token);
  lua_setfield(L, -2, "token");
  return 1;
}

void survey_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"list_streams", core_list_streams},
                                       {"list_stream_places", core_list_stream_places},
                                       {"ask_alive", core_ask_alive},
                                       {"is_draining", core_is_draining},
                                       {"is_loading", core_is_loading},
                                       {"admin_settings", core_admin_settings},
                                       {"survey", core_survey},
                                       {"list_channels", core_list_channels},
                                       {"log_lines", core_log_lines},
                                       {"process_figures", core_process_figures},
                                       {"store_state", core_store_state},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
