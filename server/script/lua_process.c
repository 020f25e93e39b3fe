// SPDX-License-Identifier: MIT
// A program as scripts hold it. It belongs to the task that has started it, then to whichever has read it or
// waited for it last: where that is cancelled or fails the program ends. All that wait for something of it
// are woken by any news, and look for themselves.
#include "script/lua_process.h"
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "client/process.h"
#include "script/class.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

static const char META[] = "spate.program";

struct program {
  struct held held;
  struct process_user user;
  struct process *process; // NULL: its state has ended
  struct tie tie;          // to a task
  struct waitlist waiting;
};

// Of the userdata; one that a finalizer has let go of has none.
static struct program *program_in(lua_State *L, void *box) {
  struct held *h = *(struct held **)box;
  if (!h) raise_error(L, "the program has been let go of already, in a finalizer");
  return container_of(h, struct program, held);
}

static struct program *check_program(lua_State *L) { return program_in(L, luaL_checkudata(L, 1, META)); }

static void on_news(struct process_user *u) {
  waitlist_wake_all(&container_of(u, struct program, user)->waiting);
}

static void cut(struct tie *tie) {
  struct program *g = container_of(tie, struct program, tie);
  if (g->process) process_end(g->process);
}

// Lets go of the process, which goes on by itself.
static void leave_program(struct held *h) {
  struct program *g = container_of(h, struct program, held);
  if (g->process) process_release(g->process);
  g->process = NULL;
  list_remove(&g->tie.link);
}

static void drop_program(struct vm *vm, struct held *h) {
  (void)vm;
  leave_program(h);
  free(container_of(h, struct program, held));
}

static int program_wait(lua_State *L, struct program *g, const char *what, double deadline,
                        lua_KContext context, lua_KFunction k) {
  struct task *t = task_check(L, what);
  return task_wait_in(L, t, &g->waiting, deadline, context, k);
}

// It belongs to the running task from now on.
static void adopt(lua_State *L, struct program *g) {
  struct task *t = vm_of(L)->current;
  if (!t || !g->process) return;
  list_remove(&g->tie.link);
  task_tie(t, &g->tie);
}

// The strings of the list at `index`, behind `before` others, with a NULL at their end, pushed; they live as
// long as the list does.
static char **push_strings(lua_State *L, int index, size_t before) {
  size_t n = lua_rawlen(L, index);
  char **list = lua_newuserdatauv(L, (before + n + 1) * sizeof *list, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    list[before + i] = (char *)(uintptr_t)luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  list[before + n] = NULL;
  return list;
}

static bool is_replaced(lua_State *L, int set, const char *variable) {
  size_t len = strcspn(variable, "=");
  lua_pushlstring(L, variable, len);
  bool is = lua_rawget(L, set) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}

// The server's environment but what is in the set at `replaced`, then the list at `added`; pushed.
static char **push_environment(lua_State *L, int added, int replaced) {
  size_t n = 0, kept = 0;
  while (environ[n]) n++;
  char **list = push_strings(L, added, n), **own = list + n;
  for (size_t i = 0; i < n; i++)
    if (!is_replaced(L, replaced, environ[i])) list[kept++] = environ[i];
  do list[kept++] = *own;
  while (*own++);
  return list;
}

static void check_task(lua_State *L) {
  const struct task *t = vm_of(L)->current;
  if (!t || !vm_of(L)->service->processes)
    raise_error(
        L,
        "process.spawn: no program can be started while the script is loaded, or in a finalizer; do it in a "
        "handler, a stream, sse.spawn or app:on_start");
  if (t->closing)
    raise_error(L, "process.spawn: no program can be started in __close while its task is being cancelled");
}

// core.spawn_program(argv, environment, replaced, cwd, has_stdin, errors)
static int lua_spawn_program(lua_State *L) {
  struct vm *vm = vm_of(L);
  const char *code;
  char why[SPAWN_WHY_MAX];
  check_task(L);
  lua_settop(L, 6);
  struct process_config config = {.owner = vm,
                                  .cwd = luaL_optstring(L, 4, NULL),
                                  .has_stdin = lua_toboolean(L, 5),
                                  .errors = (enum process_errors)luaL_checkinteger(L, 6)};
  config.argv = push_strings(L, 1, 0);
  config.envp = push_environment(L, 2, 3);
  struct held **box = held_push(L, META, 0);
  struct program *g = xcalloc(1, sizeof *g);
  *g = (struct program){.user = {.on_news = on_news}, .tie = {.cut = cut}};
  list_init(&g->tie.link);
  waitlist_init(&g->waiting);
  held_put(L, box, &g->held, drop_program);
  g->held.leave = leave_program;
  g->process = process_spawn(vm->service->processes, &config, &g->user, &code, why);
  if (!g->process) return push_failure_code(L, why, code);
  adopt(L, g);
  return 1;
}

enum { ITERATOR_PROGRAM = 1, ITERATOR_ERRORS, ITERATOR_MAX };

static struct output *output_of(const struct program *g, bool errors) {
  return !g->process ? NULL : errors ? &g->process->errors : &g->process->output;
}

// What was thrown away is told where the first that is missing would be, which is behind all that was kept.
static int end_of_output(lua_State *L, const struct output *o, const char *what) {
  if (o && o->has_lost)
    return raise_error(
        L,
        "%s: what the program wrote behind this was thrown away while p:wait() waited for its end; read "
        "its output before",
        what);
  lua_pushnil(L);
  return 1;
}

static int next_of(lua_State *L, bool by_lines, lua_KFunction k) {
  struct program *g = program_in(L, lua_touserdata(L, lua_upvalueindex(ITERATOR_PROGRAM)));
  struct output *o = output_of(g, lua_toboolean(L, lua_upvalueindex(ITERATOR_ERRORS)));
  const char *what = by_lines ? "p:lines" : "p:chunks";
  struct span piece;
  adopt(L, g);
  if (!o) return end_of_output(L, o, what);
  if (o->mode == OUTPUT_KEPT && !o->has_lost) output_set_mode(o, OUTPUT_ASKED, 0);
  enum output_found found =
      by_lines ? output_take_line(o, (size_t)lua_tointeger(L, lua_upvalueindex(ITERATOR_MAX)), &piece)
               : output_take_all(o, &piece);
  if (found == OUTPUT_TAKEN) return lua_pushlstring(L, piece.bytes, piece.len), 1;
  if (found == OUTPUT_OVER || o->has_lost) return end_of_output(L, o, what);
  struct task *t = task_check(L, what);
  output_want(o);
  return task_wait_in(L, t, &g->waiting, INFINITY, 0, k);
}

static int line_came(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return next_of(L, true, line_came);
}

static int chunk_came(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return next_of(L, false, chunk_came);
}

// What is kept outside of Lua becomes a string there, so no more of it is of use.
static lua_Integer check_max(lua_State *L, int index, const char *what) {
  lua_Integer max = luaL_checkinteger(L, index);
  size_t most = vm_of(L)->settings->limits.lua_memory;
  if ((size_t)max > most)
    raise_error(L, "%s: expected at most %zu bytes (limits.lua_memory), got %lld", what, most,
                (long long)max);
  return max;
}

static int next_line(lua_State *L) { return next_of(L, true, line_came); }

static int next_chunk(lua_State *L) { return next_of(L, false, chunk_came); }

// program:lines(errors, max), program:chunks(errors): functions that return the next, and nil at the end.
static int program_lines(lua_State *L) {
  check_program(L);
  check_max(L, 3, "p:lines");
  lua_settop(L, 3);
  lua_pushcclosure(L, next_line, 3);
  return 1;
}

static int program_chunks(lua_State *L) {
  check_program(L);
  lua_settop(L, 2);
  lua_pushcclosure(L, next_chunk, 2);
  return 1;
}

// program:is_over(errors): whether all of it has been read.
static int program_is_over(lua_State *L) {
  const struct output *o = output_of(check_program(L), lua_toboolean(L, 2));
  lua_pushboolean(L, !o || output_is_over(o));
  return 1;
}

// Stack: program, text. `written`: bytes of it.
static int program_write_on(lua_State *L, int status, lua_KContext written) {
  struct program *g = check_program(L);
  struct span text;
  (void)status;
  text.bytes = lua_tolstring(L, 2, &text.len);
  while ((size_t)written < text.len) {
    struct span rest = {text.bytes + written, text.len - (size_t)written};
    ssize_t n = g->process ? input_write(&g->process->input, rest) : -1;
    if (n < 0) return push_failure(L, "closed");
    if (!n) return program_wait(L, g, "p:write", INFINITY, written, program_write_on);
    written += n;
  }
  lua_pushboolean(L, 1);
  return 1;
}

// program:write(text): true once all of it is in the pipe or in the window before it; nil, "closed".
static int program_write(lua_State *L) {
  struct program *g = check_program(L);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  if (!g->process || g->process->input.fd < 0) return push_failure(L, "closed");
  return program_write_on(L, LUA_OK, 0);
}

static int program_finish(lua_State *L) {
  struct program *g = check_program(L);
  if (g->process) input_finish(&g->process->input);
  return 0;
}

// "TERM" of 15.
static void push_signal(lua_State *L, int number) {
  const char *name = sigabbrev_np(number);
  if (name) lua_pushstring(L, name);
  else lua_pushfstring(L, "%d", number);
}

// The exit code; or nil and the name of the signal.
static int push_end(lua_State *L, const struct process *p) {
  if (p->code >= 0) return lua_pushinteger(L, p->code), 1;
  lua_pushnil(L);
  if (p->signal) push_signal(L, p->signal);
  else lua_pushliteral(L, "unknown"); // another part of the program has asked for its end before
  return 2;
}

// Has the output of a program that is waited for not hold it up.
static void keep_unread(struct output *o, size_t max) {
  if (o->fd >= 0 && o->mode == OUTPUT_ASKED) output_set_mode(o, OUTPUT_KEPT, max);
}

static int program_ended(lua_State *L, int status, lua_KContext context) {
  struct program *g = check_program(L);
  (void)status, (void)context;
  if (!g->process) return push_failure(L, "closed");
  if (g->process->state != PROCESS_RUNNING) return push_end(L, g->process);
  return program_wait(L, g, "p:wait", INFINITY, 0, program_ended);
}

// program:wait(keeps_output, keeps_errors): its end.
static int program_wait_end(lua_State *L) {
  struct program *g = check_program(L);
  adopt(L, g);
  if (g->process && lua_toboolean(L, 2)) keep_unread(&g->process->output, OUTPUT_WINDOW);
  if (g->process && lua_toboolean(L, 3)) keep_unread(&g->process->errors, OUTPUT_WINDOW);
  lua_settop(L, 1);
  return program_ended(L, LUA_OK, 0);
}

static bool has_lost(const struct process *p) { return p->output.has_lost || p->errors.has_lost; }

static bool is_complete(const struct process *p) {
  return p->state != PROCESS_RUNNING && p->output.fd < 0 && p->errors.fd < 0;
}

enum { COLLECT_DEADLINE = 3 };

static int program_collected(lua_State *L, int status, lua_KContext context) {
  struct program *g = check_program(L);
  (void)status, (void)context;
  double deadline = lua_tonumber(L, COLLECT_DEADLINE);
  if (!g->process) return push_failure(L, "closed");
  if (has_lost(g->process)) return push_failure(L, "too large");
  if (is_complete(g->process)) return lua_pushboolean(L, 1), 1;
  if (vm_of(L)->loop->now >= deadline) return push_failure(L, "timeout");
  return program_wait(L, g, "process.run", deadline, 0, program_collected);
}

// program:collect(max, seconds): true once it has ended and both outputs, of `max` bytes each, are there to
// be taken; nil and "too large", "timeout".
static int program_collect(lua_State *L) {
  struct program *g = check_program(L);
  lua_Integer max = check_max(L, 2, "process.run: max");
  double deadline = vm_of(L)->loop->now + luaL_checknumber(L, 3);
  task_check(L, "process.run");
  if (g->process)
    keep_unread(&g->process->output, (size_t)max), keep_unread(&g->process->errors, (size_t)max);
  lua_settop(L, 2);
  lua_pushnumber(L, deadline);
  return program_collected(L, LUA_OK, 0);
}

// program:signal(number): true; nil and why not.
static int program_signal(lua_State *L) {
  const struct program *g = check_program(L);
  int number = (int)luaL_checkinteger(L, 2);
  if (g->process && process_signal(g->process, number) == 0) return lua_pushboolean(L, 1), 1;
  return push_failure(L, !g->process || errno == ESRCH ? "ended" : strerror(errno));
}

// program:close(): ends it; harmless where it has ended.
static int program_close(lua_State *L) {
  struct program *g = check_program(L);
  if (g->process) process_end(g->process);
  return 0;
}

// program:pid(): nil once its state has let go of it.
static int program_pid(lua_State *L) {
  const struct process *p = check_program(L)->process;
  if (p) lua_pushinteger(L, p->group.id);
  else lua_pushnil(L);
  return 1;
}

// core.signal_number(name)
static int signal_number(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (!strncmp(name, "SIG", 3)) name += 3;
  for (int number = 1; number < NSIG; number++) {
    const char *known = sigabbrev_np(number);
    if (known && !strcmp(known, name)) return lua_pushinteger(L, number), 1;
  }
  lua_pushnil(L);
  return 1;
}

void lua_process_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"lines", program_lines},
                                     {"chunks", program_chunks},
                                     {"is_over", program_is_over},
                                     {"write", program_write},
                                     {"finish", program_finish},
                                     {"wait", program_wait_end},
                                     {"collect", program_collect},
                                     {"signal", program_signal},
                                     {"close", program_close},
                                     {"pid", program_pid},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"spawn_program", lua_spawn_program}, {"signal_number", signal_number}, {NULL, NULL}};
  class_new(L, META, methods, held_collect);
  luaL_setfuncs(L, functions, 0);
}
