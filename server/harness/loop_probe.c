// SPDX-License-Identifier: MIT
// One loop of libev's with a clock that stands until it is moved, and one watch over the near end of a pair
// of sockets. A turn polls without sleeping and says what the watch was told. Where the kernel is to refuse
// watches, the turn is a thread's whose system calls a filter sees.
#include "harness/harness.h"
#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "harness/refusal.h"
#include "loop/job.h"
#include "loop/ring.h"
#include "loop/watch.h"
#include "script/class.h"

enum { JOBS_MAX = 10 };

static const char LOOP[] = "spate.harness.loop";

struct loop_probe {
  struct manual_clock clock;
  struct loop loop;
  struct loop_hook hook;
  struct watch watch;
  struct timer timer;
  int near_fd, far_fd;
  bool polled, stops, quits, is_open;
  bool sleeps;        // until it is told something
  double slow;        // seconds that each takes who is told
  unsigned long turn; // that ran last
  unsigned told;
  int times; // that it was
  struct turn_limit limit;
  struct inbox inbox;
  struct probe_job *jobs[JOBS_MAX]; // that have not been freed
  struct buf log;                   // of jobs, during a turn
  pthread_t other;                  // that finishes a job while the loop sleeps
  unsigned long turns_before;       // it began
  bool has_other;
};

struct probe_job {
  struct job job;
  struct loop_probe *probe;
  int number;
};

static struct loop_probe *check(lua_State *L) { return luaL_checkudata(L, 1, LOOP); }

static void on_ready(struct watch *w, unsigned events) {
  struct loop_probe *p = container_of(w, struct loop_probe, watch);
  p->told |= events, p->times++;
  p->clock.now += p->slow;
  if (p->stops) watch_stop(w);
  if (p->quits) loop_stop(&p->loop);
}

// The first run is before the poll, the second after it.
static bool end_turn(struct loop_hook *h) {
  struct loop_probe *p = container_of(h, struct loop_probe, hook);
  bool is_over = p->sleeps ? p->times > 0 : p->polled;
  if (is_over) loop_stop(&p->loop);
  p->polled = true, p->turn = loop_running_turn(&p->loop);
  return !p->sleeps;
}

static void on_long_turn(struct turn_limit *limit, double took) {
  struct loop_probe *p = container_of(limit, struct loop_probe, limit);
  buf_printf(&p->log, "%.0f s ", took);
}

static void on_time(struct timer *t) { loop_stop(&container_of(t, struct loop_probe, timer)->loop); }

static unsigned check_events(lua_State *L, int index) {
  const char *text = luaL_checkstring(L, index);
  return (strchr(text, 'r') ? WATCH_READ : 0u) | (strchr(text, 'w') ? WATCH_WRITE : 0u);
}

// loop:start(events): "r", "w", "rw" or "".
static int probe_start(lua_State *L) {
  struct loop_probe *p = check(L);
  watch_start(&p->watch, &p->loop, p->near_fd, check_events(L, 2));
  return 0;
}

static int probe_set(lua_State *L) {
  watch_set(&check(L)->watch, check_events(L, 2));
  return 0;
}

// loop:stop(): at once; loop:stop(true): when it is told the next time.
static int probe_stop(lua_State *L) {
  struct loop_probe *p = check(L);
  if (lua_toboolean(L, 2)) p->stops = true;
  else watch_stop(&p->watch);
  return 0;
}

static void on_done(struct job *j) {
  struct probe_job *job = container_of(j, struct probe_job, job);
  buf_printf(&job->probe->log, "%d done ", job->number);
  if (job->probe->sleeps) loop_stop(&job->probe->loop);
}

static void free_job(struct job *j) {
  struct probe_job *job = container_of(j, struct probe_job, job);
  buf_printf(&job->probe->log, "%d freed ", job->number);
  job->probe->jobs[job->number] = NULL;
  free(job);
}

static struct probe_job *check_job(lua_State *L) {
  lua_Integer number = luaL_checkinteger(L, 2);
  struct probe_job *job = number >= 0 && number < JOBS_MAX ? check(L)->jobs[number] : NULL;
  return job ? job : (luaL_error(L, "no job %d", (int)number), NULL);
}

// loop:begin(number): a job that is under way.
static int probe_begin(lua_State *L) {
  struct loop_probe *p = check(L);
  int number = (int)luaL_checkinteger(L, 2);
  struct probe_job *job = xcalloc(1, sizeof *job);
  job->probe = p, job->number = number;
  job_begin(&job->job, &p->inbox, on_done, free_job);
  p->jobs[number] = job;
  return 0;
}

static void *finish_elsewhere(void *job) {
  job_finish(job);
  return NULL;
}

// loop:finish(number): on another thread.
static int probe_finish(lua_State *L) {
  struct probe_job *job = check_job(L);
  pthread_t thread;
  if (pthread_create(&thread, NULL, finish_elsewhere, &job->job) != 0) return luaL_error(L, "no thread");
  pthread_join(thread, NULL);
  return 0;
}

static void *finish_asleep(void *arg) {
  struct probe_job *job = arg;
  struct loop *l = &job->probe->loop;
  while (loop_running_turn(l) || atomic_load(&l->turn) == job->probe->turns_before) sched_yield();
  job_finish(&job->job);
  return NULL;
}

// loop:finish_asleep(number): on another thread, once the loop has begun a turn and sleeps.
static int probe_finish_asleep(lua_State *L) {
  struct loop_probe *p = check(L);
  struct probe_job *job = check_job(L);
  p->turns_before = atomic_load(&p->loop.turn);
  if (p->has_other || pthread_create(&p->other, NULL, finish_asleep, job) != 0)
    return luaL_error(L, "no thread");
  p->has_other = true;
  return 0;
}

static void join_other(struct loop_probe *p) {
  if (p->has_other) pthread_join(p->other, NULL);
  p->has_other = false;
}

static int probe_abandon(lua_State *L) {
  job_abandon(&check_job(L)->job);
  return 0;
}

static void begin_turn(struct loop_probe *p, bool sleeps) {
  p->polled = false, p->told = 0, p->times = 0, p->sleeps = sleeps;
}

static int push_told(lua_State *L, struct loop_probe *p) {
  lua_pushfstring(L, "%s%s", p->told & WATCH_READ ? "r" : "", p->told & WATCH_WRITE ? "w" : "");
  lua_pushinteger(L, p->times);
  push_span(L, buf_span(&p->log));
  buf_deinit(&p->log);
  return 3;
}

// loop:turn([seconds later]): what the watch was told, how often, and what became of jobs, and of turns that
// took more than a minute.
static int probe_turn(lua_State *L) {
  struct loop_probe *p = check(L);
  p->clock.now += luaL_optnumber(L, 2, 0);
  begin_turn(p, false);
  loop_run(&p->loop);
  return push_told(L, p);
}

// loop:await(): the same of a loop that sleeps until the watch is told something, or who waits for a job.
static int probe_await(lua_State *L) {
  struct loop_probe *p = check(L);
  begin_turn(p, true);
  loop_run(&p->loop);
  join_other(p);
  return push_told(L, p);
}

// loop:poll(seconds [, seconds later]): the same, for so long at most.
static int probe_poll(lua_State *L) {
  struct loop_probe *p = check(L);
  p->clock.now += luaL_optnumber(L, 3, 0);
  begin_turn(p, true);
  loop_poll(&p->loop, luaL_checknumber(L, 2));
  return push_told(L, p);
}

// loop:arm(time): its timer, for that time of its clock; nil: not.
static int probe_arm(lua_State *L) {
  struct loop_probe *p = check(L);
  loop_disarm(&p->loop, &p->timer);
  if (!lua_isnoneornil(L, 2)) loop_arm(&p->loop, &p->timer, luaL_checknumber(L, 2));
  return 0;
}

// loop:quits(): it ends when the watch is told something, in the middle of its turn.
static int probe_quits(lua_State *L) {
  check(L)->quits = true;
  return 0;
}

// loop:slow(seconds): so many pass whenever the watch is told something.
static int probe_slow(lua_State *L) {
  check(L)->slow = luaL_checknumber(L, 2);
  return 0;
}

// loop:sleep(seconds): until a timer fires then; in how many turns.
static int probe_sleep(lua_State *L) {
  struct loop_probe *p = check(L);
  unsigned long before = atomic_load(&p->loop.turn);
  begin_turn(p, true);
  loop_arm(&p->loop, &p->timer, clock_now(p->loop.clock) + luaL_checknumber(L, 2));
  loop_run(&p->loop);
  lua_pushinteger(L, (lua_Integer)(atomic_load(&p->loop.turn) - before));
  return 1;
}

// loop:turns(): the number of the turn that ran last, and of the one that runs now, which is none.
static int probe_turns(lua_State *L) {
  struct loop_probe *p = check(L);
  lua_pushinteger(L, (lua_Integer)p->turn);
  lua_pushinteger(L, (lua_Integer)loop_running_turn(&p->loop));
  return 2;
}

static void run_loop(void *loop) { loop_run(loop); }

// loop:refused_turn([seconds later [, sleeps]]): a turn, or until the watch is told something, in which the
// kernel has no room for one more watch.
static int probe_refused_turn(lua_State *L) {
  struct loop_probe *p = check(L);
  p->clock.now += luaL_optnumber(L, 2, 0);
  begin_turn(p, lua_toboolean(L, 3));
  if (refusal_run((struct refused){.call = __NR_epoll_ctl, .other = -1}, ENOSPC, run_loop, &p->loop) < 0)
    return luaL_error(L, "no filter of system calls");
  return push_told(L, p);
}

// loop:write(): a byte from the far end.
static int probe_write(lua_State *L) {
  ssize_t n = send(check(L)->far_fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  lua_pushboolean(L, n == 1);
  return 1;
}

// loop:fill(): until the near end takes no more.
static int probe_fill(lua_State *L) {
  static const char bytes[4096];
  while (send(check(L)->near_fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) continue;
  return 0;
}

// loop:close(): whether it still knows of descriptors, and whether anything is still to be run in a turn.
static int probe_close(lua_State *L) {
  struct loop_probe *p = check(L);
  if (!p->is_open) return 0;
  p->is_open = false;
  join_other(p);
  watch_stop(&p->watch);
  loop_disarm(&p->loop, &p->timer);
  loop_hook_remove(&p->loop, &p->hook);
  inbox_deinit(&p->inbox);
  bool has_hooks = !list_empty(&p->loop.hooks);
  for (int i = 0; i < JOBS_MAX; i++) free(p->jobs[i]);
  buf_deinit(&p->log);
  loop_deinit(&p->loop);
  close(p->near_fd), close(p->far_fd);
  lua_pushboolean(L, loop_polls(&p->loop));
  lua_pushboolean(L, has_hooks);
  return 2;
}

// harness.loop(["system"]): whose clock stands unless told.
static int probe_new(lua_State *L) {
  bool is_timed = !strcmp(luaL_optstring(L, 1, ""), "system");
  struct loop_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  int pair[2];
  *p = (struct loop_probe){.hook = {.run = end_turn},
                           .watch = {.on_ready = on_ready},
                           .timer = {.on_fire = on_time},
                           .limit = {60, on_long_turn}};
  luaL_setmetatable(L, LOOP);
  manual_clock_init(&p->clock, 0);
  if (loop_init(&p->loop, is_timed ? clock_system() : &p->clock.clock, true) < 0)
    return loop_deinit(&p->loop), luaL_error(L, "no event loop");
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
    return loop_deinit(&p->loop), luaL_error(L, "no sockets");
  p->loop.turn_limit = &p->limit;
  p->near_fd = pair[0], p->far_fd = pair[1], p->is_open = true;
  inbox_init(&p->inbox, &p->loop);
  list_init(&p->hook.link);
  loop_hook_add(&p->loop, &p->hook);
  return 1;
}

// harness.loop_libraries(): the versions of libev and, where it is there, of liburing.
static int loop_libraries(lua_State *L) {
  lua_pushstring(L, loop_library_version());
  lua_pushstring(L, ring_library_version());
  return 2;
}

void loop_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"start", probe_start},
                                     {"set", probe_set},
                                     {"stop", probe_stop},
                                     {"turn", probe_turn},
                                     {"await", probe_await},
                                     {"poll", probe_poll},
                                     {"sleep", probe_sleep},
                                     {"turns", probe_turns},
                                     {"refused_turn", probe_refused_turn},
                                     {"write", probe_write},
                                     {"fill", probe_fill},
                                     {"begin", probe_begin},
                                     {"finish", probe_finish},
                                     {"finish_asleep", probe_finish_asleep},
                                     {"abandon", probe_abandon},
                                     {"arm", probe_arm},
                                     {"slow", probe_slow},
                                     {"quits", probe_quits},
                                     {"close", probe_close},
                                     {NULL, NULL}};
  class_new(L, LOOP, methods, probe_close);
  lua_pushcfunction(L, probe_new);
  lua_setfield(L, -2, "loop");
  lua_pushcfunction(L, loop_libraries);
  lua_setfield(L, -2, "loop_libraries");
}
