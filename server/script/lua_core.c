// SPDX-License-Identifier: MIT
// What the library in Lua is built on, spate.core: the functions of all bindings in one table, and those
// small ones that belong to no other. Scripts do not see it; its form may change with the library.
#include "script/lua_core.h"
#include <lauxlib.h>
#include <lualib.h>
#include "http/http1.h"
#include "http/trace_context.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/handler.h"
#include "script/held.h"
#include "script/lua_event.h"
#include "script/lua_event_source.h"
#include "script/lua_fields.h"
#include "script/lua_process.h"
#include "script/lua_pass.h"
#include "script/lua_proxy.h"
#include "script/lua_raw.h"
#include "script/lua_report.h"
#include "script/lua_require.h"
#include "script/lua_router.h"
#include "script/lua_stream.h"
#include "script/raise.h"
#include "script/upstream.h"
#include "script/source.h"
#include "script/ticker.h"
#include "script/vm.h"
#include "serve/stream_id.h"

// core.stats(): what the process serves now and has served.
static int core_stats(lua_State *L) {
  const struct service *s = vm_of(L)->service;
  const struct figures f = metrics_read(service_subject(s), s->broker, s->shared);
  lua_newtable(L);
  for (const struct metric *m = metrics_table; m->name; m++) {
    if (metric_is_histogram(m)) continue;
    lua_pushinteger(L, (lua_Integer)metric_value(m, &f));
    lua_setfield(L, -2, m->name);
  }
  return 1;
}

// core.status_phrase(404): "Not Found"; the number itself where it has no phrase.
static int core_status_phrase(lua_State *L) {
  const char *phrase = status_phrase((int)luaL_checkinteger(L, 1));
  if (*phrase) lua_pushstring(L, phrase);
  else luaL_tolstring(L, 1, NULL);
  return 1;
}

// core.is_redacted(name): whether the log leaves out the value of a query parameter with this name.
static int core_is_redacted(lua_State *L) {
  struct span name;
  name.bytes = luaL_checklstring(L, 1, &name.len);
  lua_pushboolean(L, short_names_have(&vm_of(L)->settings->log.redact, name));
  return 1;
}

static int core_raise(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  return raise_top(L);
}

static int called(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

static int call_public(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, called);
  return lua_gettop(L);
}

// core.public(table, name, ...): puts a C function before each of these Lua functions, which leaves the
// user's line on the stack where he writes `return reply.text(...)`: Lua's own tail calls do not.
static int core_public(lua_State *L) {
  for (int i = lua_gettop(L); i > 1; i--) {
    lua_pushvalue(L, i);
    lua_gettable(L, 1);
    lua_pushcclosure(L, call_public, 1);
    lua_pushvalue(L, i);
    lua_insert(L, -2);
    lua_settable(L, 1);
  }
  return 0;
}

// core.keep(answer, closers, starters, beginnings, stoppers, retire): what C calls.
static int core_keep(lua_State *L) {
  struct vm *vm = vm_of(L);
  lua_settop(L, 6);
  vm->retire_ref = vm_ref(L);
  vm->stoppers_ref = vm_ref(L);
  vm->beginnings_ref = vm_ref(L);
  vm->starters_ref = vm_ref(L);
  vm->closers_ref = vm_ref(L);
  vm->answer_ref = vm_ref(L);
  return 0;
}

// core.trace(): trace-id, the span of the request that the task answers, and flags; nothing where it has no
// trace.
static int core_trace(lua_State *L) {
  const struct task *t = vm_of(L)->current;
  const struct exchange *ex = t ? t->exchange : NULL;
  struct trace_context c;
  char id[STREAM_ID_MAX];
  if (!ex || !ex->stream || !trace_context_read(ex->stream->request, &c)) return 0;
  stream_id_text(ex->stream, id);
  push_span(L, c.trace_id);
  lua_pushstring(L, id);
  push_span(L, c.flags);
  return 3;
}

// core.where(): "file:line" of the user's function nearest to the caller.
static int core_where(lua_State *L) {
  push_place(L);
  return 1;
}

// Each adds to the table on top of the stack what its file has for the library.
static void add_files(lua_State *L) {
  held_open(L);
  task_open(L);
  event_open(L);
  channel_open(L);
  kick_open(L);
  metrics_open(L);
  survey_open(L);
  form_open(L);
  http_open(L);
  inflate_open(L);
  fs_open(L);
  file_pieces_open(L);
  lua_shared_open(L);
  crypto_open(L);
  password_open(L);
  offload_open(L);
  lua_process_open(L);
  lua_sqlite_open(L);
  lua_postgres_open(L);
  lua_redis_open(L);
  wait_fd_open(L);
  lua_terminal_open(L);
  router_open(L);
  event_source_open(L);
  pass_open(L);
  proxy_open(L);
  request_open(L);
  lua_setfield(L, -2, "request_methods");
  file_functions_open(L);
  log_open(L);
  lua_setfield(L, -2, "log");
}

static void set_number(lua_State *L, const char *name, lua_Number n) {
  lua_pushnumber(L, n);
  lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool is_set) {
  lua_pushboolean(L, is_set);
  lua_setfield(L, -2, name);
}

// What of the state and its settings the library asks for.
static void add_values(lua_State *L, const struct vm *vm) {
  const struct settings *s = vm->settings;
  lua_pushinteger(L, vm->worker);
  lua_setfield(L, -2, "worker");
  lua_pushinteger(L, vm->generation);
  lua_setfield(L, -2, "generation");
  lua_pushliteral(L, SPATE_VERSION);
  lua_setfield(L, -2, "version");
  set_number(L, "keep_alive_interval", s->keep_alive.interval);
  set_number(L, "upload_max", (lua_Number)s->limits.upload);
  set_number(L, "http_body_max", (lua_Number)s->limits.http_body);
  set_flag(L, "dev", s->dev.on);
  set_flag(L, "in_spec", s->dev.spec);
  set_flag(L, "inject", s->dev.on && s->dev.inject);
}

static void open_core(lua_State *L, struct vm *vm) {
  static const luaL_Reg functions[] = {{"answer", core_answer},
                                       {"prefers_json", core_prefers_json},
                                       {"shows_errors", core_shows_errors},
                                       {"open", core_open_stream},
                                       {"open_raw", core_open_raw},
                                       {"writer", core_writer},
                                       {"raw_left", core_raw_left},
                                       {"sender", core_sender},
                                       {"pump", core_pump},
                                       {"tick", core_tick},
                                       {"go_on", core_go_on},
                                       {"detach", core_detach},
                                       {"encode", lua_event_encode},
                                       {"check_field", core_check_field},
                                       {"closers", request_closers},
                                       {"stats", core_stats},
                                       {"is_redacted", core_is_redacted},
                                       {"raise", core_raise},
                                       {"public", core_public},
                                       {"status_phrase", core_status_phrase},
                                       {"keep", core_keep},
                                       {"plain_routes", core_plain_routes},
                                       {"finishes", core_finishes},
                                       {"where", core_where},
                                       {"trace", core_trace},
                                       {"watch", core_watch},
                                       {"traceback", core_traceback},
                                       {"nearest", core_nearest},
                                       {"distance", core_distance},
                                       {"advise_seconds", core_advise_seconds},
                                       {"router", lua_router_new},
                                       {"use_router", lua_router_use},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  add_files(L);
  add_values(L, vm);
}

void core_open(lua_State *L, struct vm *vm) {
  luaL_openlibs(L);
  globals_open(L);
  require_text_only(L);
  require_embedded_first(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  json_open(L, vm->settings->limits.json_depth);
  lua_setfield(L, -2, "spate.json");
  open_core(L, vm);
  lua_setfield(L, -2, "spate.core");
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushstring(L, vm->gauges.is_helper ? "spate.helper" : "spate.app");
  lua_call(L, 1, 0);
}
