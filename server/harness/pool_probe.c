// SPDX-License-Identifier: MIT
// A loop and a pool of threads on it, or without threads. What is submitted waits in its `run` for a gate of
// its own that the spec opens, where it has threads; a spec waits for what it has asked for, never for a
// time.
#include <errno.h>
#include <lauxlib.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include "base/buf.h"
#include "base/mem.h"
#include "harness/harness.h"
#include "harness/refusal.h"
#include "loop/pool.h"
#include "script/class.h"

enum { WORKS_MAX = 10 };

static const char POOL[] = "spate.harness.pool";

struct pool_probe {
  struct loop loop;
  struct loop_hook hook;
  struct inbox inbox;
  struct pool pool;
  struct probe_work *works[WORKS_MAX]; // that have not been freed
  bool is_open, has_threads;
  int freed, wanted; // until so many are, the loop runs
  struct buf log;
  sem_t began; // once for each that has
};

struct probe_work {
  struct work work;
  struct pool_probe *probe;
  int number;
  int leaves, makes; // another, as it runs; 0: none
  bool has_run;
  sem_t gate;
};

static struct pool_probe *check(lua_State *L) { return luaL_checkudata(L, 1, POOL); }

static struct probe_work *check_work(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 2);
  struct probe_work *w = n >= 0 && n < WORKS_MAX ? check(L)->works[n] : NULL;
  return w ? w : (luaL_error(L, "no work %d", (int)n), NULL);
}

static bool submit(struct pool_probe *p, int number, int leaves, int makes);

static void run(struct work *work) {
  struct probe_work *w = container_of(work, struct probe_work, work);
  sem_post(&w->probe->began);
  if (w->probe->has_threads) sem_wait(&w->gate);
  struct probe_work *other = w->leaves ? w->probe->works[w->leaves] : NULL;
  if (other) pool_abandon(&other->work);
  if (w->makes) submit(w->probe, w->makes, 0, 0);
  w->has_run = true;
}

static void on_done(struct job *j) {
  struct probe_work *w = container_of(j, struct probe_work, work.job);
  buf_printf(&w->probe->log, "%d %s ", w->number, w->has_run ? "done" : "untouched");
}

static void free_work(struct job *j) {
  struct probe_work *w = container_of(j, struct probe_work, work.job);
  buf_printf(&w->probe->log, "%d freed%s ", w->number, w->has_run ? "" : " untouched");
  w->probe->works[w->number] = NULL;
  w->probe->freed++;
  sem_destroy(&w->gate);
  free(w);
}

static bool submit(struct pool_probe *p, int number, int leaves, int makes) {
  struct probe_work *w = xcalloc(1, sizeof *w);
  w->probe = p, w->number = number, w->leaves = leaves, w->makes = makes, w->work.run = run;
  sem_init(&w->gate, 0, 0);
  job_begin(&w->work.job, &p->inbox, on_done, free_work);
  bool ok = pool_submit(&p->pool, &w->work);
  if (ok) p->works[w->number] = w;
  else sem_destroy(&w->gate), free(w);
  return ok;
}

// pool:submit(number [, left [, made]]): false where it is full; as it runs it leaves another, and, without
// threads, makes one.
static int probe_submit(lua_State *L) {
  struct pool_probe *p = check(L);
  int number = (int)luaL_checkinteger(L, 2);
  lua_pushboolean(L, submit(p, number, (int)luaL_optinteger(L, 3, 0), (int)luaL_optinteger(L, 4, 0)));
  return 1;
}

struct submission {
  struct pool_probe *probe;
  int number;
  bool ok;
};

static void submit_it(void *arg) {
  struct submission *s = arg;
  s->ok = submit(s->probe, s->number, 0, 0);
}

// pool:submit_alone(number): where the system starts no thread.
static int probe_submit_alone(lua_State *L) {
  struct submission s = {check(L), (int)luaL_checkinteger(L, 2), false};
  if (refusal_run((struct refused){.call = __NR_clone, .other = __NR_clone3}, EAGAIN, submit_it, &s) < 0)
    return luaL_error(L, "no filter of system calls");
  lua_pushboolean(L, s.ok);
  return 1;
}

// pool:open(number): lets that work end.
static int probe_open(lua_State *L) {
  sem_post(&check_work(L)->gate);
  return 0;
}

// pool:await_begun(n): until n more have begun, on whatever threads.
static int probe_await_begun(lua_State *L) {
  struct pool_probe *p = check(L);
  for (lua_Integer n = luaL_checkinteger(L, 2); n > 0; n--) sem_wait(&p->began);
  return 0;
}

static int probe_abandon(lua_State *L) {
  pool_abandon(&check_work(L)->work);
  return 0;
}

static bool stop_when_freed(struct loop_hook *h) {
  struct pool_probe *p = container_of(h, struct pool_probe, hook);
  if (p->freed >= p->wanted) loop_stop(&p->loop);
  return false;
}

static int push_log(lua_State *L, struct pool_probe *p) {
  push_span(L, buf_span(&p->log));
  buf_deinit(&p->log);
  return 1;
}

// pool:await(n): what became of works, until n of them have been freed.
static int probe_await(lua_State *L) {
  struct pool_probe *p = check(L);
  p->wanted = (int)luaL_checkinteger(L, 2), p->freed = 0;
  loop_run(&p->loop);
  return push_log(L, p);
}

// pool:turn(): the same, in one turn of a loop without threads; and whether there is more to do.
static int probe_turn(lua_State *L) {
  struct pool_probe *p = check(L);
  bool more = loop_turn(&p->loop);
  push_log(L, p);
  lua_pushboolean(L, more);
  return 2;
}

// pool:threads(): how many it has; pool:threads(n): once it has so many.
static int probe_threads(lua_State *L) {
  struct pool_probe *p = check(L);
  lua_Integer wanted = luaL_optinteger(L, 2, -1);
  while (wanted >= 0 && pool_threads(&p->pool) != (unsigned)wanted) sched_yield();
  lua_pushinteger(L, pool_threads(&p->pool));
  return 1;
}

// pool:close(): what became of works that were under way; how many threads it may have then, and whether its
// loop has anything to run in a turn.
static int probe_close(lua_State *L) {
  struct pool_probe *p = check(L);
  if (!p->is_open) return 0;
  p->is_open = false;
  pool_deinit(&p->pool);
  pool_deinit(&p->pool); // is one of zeros
  loop_hook_remove(&p->loop, &p->hook);
  inbox_deinit(&p->inbox);
  bool has_hooks = !list_empty(&p->loop.hooks);
  loop_deinit(&p->loop);
  sem_destroy(&p->began);
  push_log(L, p);
  lua_pushinteger(L, (lua_Integer)p->pool.threads_max);
  lua_pushboolean(L, has_hooks);
  return 3;
}

// harness.pool(threads, queued [, idle seconds])
static int probe_new(lua_State *L) {
  struct pool_limits limits = {.threads = (unsigned)luaL_checkinteger(L, 1),
                               .queued = (unsigned)luaL_checkinteger(L, 2),
                               .idle = luaL_optnumber(L, 3, 60)};
  struct pool_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (struct pool_probe){.hook = {.run = stop_when_freed}, .has_threads = limits.threads > 0};
  luaL_setmetatable(L, POOL);
  if (loop_init(&p->loop, clock_system(), limits.threads > 0) < 0) return luaL_error(L, "no event loop");
  inbox_init(&p->inbox, &p->loop);
  pool_init(&p->pool, &p->inbox, limits);
  loop_hook_add(&p->loop, &p->hook);
  sem_init(&p->began, 0, 0);
  p->is_open = true;
  return 1;
}

void pool_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"submit", probe_submit},   {"submit_alone", probe_submit_alone},
                                     {"open", probe_open},       {"await_begun", probe_await_begun},
                                     {"abandon", probe_abandon}, {"await", probe_await},
                                     {"turn", probe_turn},       {"threads", probe_threads},
                                     {"close", probe_close},     {NULL, NULL}};
  class_new(L, POOL, methods, probe_close);
  lua_pushcfunction(L, probe_new);
  lua_setfield(L, -2, "pool");
}
