// SPDX-License-Identifier: MIT
// A POSIX timer per worker counts the thread's own CPU time, so that a busy machine kills nobody and an idle
// server is never woken. Its signal comes to the thread that is late: the handler compares the slice with the
// one of the signal before and plants a hook on the running coroutine (lua_sethook is safe there). The hook
// yields, which no pcall can catch; where it cannot yield it raises and stays. What no hook can reach, a long
// C call or a finalizer, ends the process at the second deadline: its supervisor restarts it.
//
// A call that blocks uses no CPU time. Who watches the turns from outside sends the same signal by hand, and
// a hook then notes the line at the first moment when Lua may be asked for it: the call's return, of which
// Lua still knows where it was made, or else the next instruction. Nothing of the state is read in the
// handler.
#include "script/watchdog.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "script/raise.h"
#include "script/vm.h"

enum { TICKS_PER_BURST = 4, INSTRUCTIONS = 100, FRAMES = 20 };
static const double TICK_MIN = 0.001;

static __thread struct {
  bool is_on;
  timer_t timer;
  struct vm *vm; // entered last
  unsigned long slice;
  const struct vm *seen; // whose slice that is
  unsigned ticks;        // seen in it
  char held_at[200];     // the place that was noted last
  double held_turn;      // and when the turn of its loop began
} watch;

// A return, or an instruction: the line is noted, and the hook has done its work.
static void on_looked_at(lua_State *L, lua_Debug *ar) {
  struct vm *vm = vm_of(L);
  lua_Debug at;
  const char *called = NULL;
  vm_reset_hook(vm, L);
  watch.held_turn = vm->loop->began, *watch.held_at = 0;
  if (ar->event == LUA_HOOKRET && lua_getinfo(L, "Sn", ar) && *ar->what == 'C') called = ar->name;
  bool found = lua_getstack(L, 0, &at) && lua_getinfo(L, "Sl", &at) && is_user_function(&at);
  if (!found && !user_position(L, &at)) return;
  snprintf(watch.held_at, sizeof watch.held_at, "%s:%d%s%s%s", at.short_src, at.currentline,
           called ? ", in a call of '" : "", called ? called : "", called ? "'" : "");
}

void watchdog_look(void) {
  lua_State *running = watch.vm ? watch.vm->running : NULL;
  if (running && lua_gethook(running) == watch.vm->trace)
    lua_sethook(running, on_looked_at, LUA_MASKRET | LUA_MASKCOUNT, 1);
}

void watchdog_look_at(pthread_t thread) { pthread_kill(thread, SIGVTALRM); }

const char *watchdog_place(const struct loop *loop) {
  return watch.held_turn == loop->began ? watch.held_at : "";
}

static void on_expired(lua_State *L, lua_Debug *ar) {
  struct vm *vm = vm_of(L);
  if (!vm->expired) {
    lua_getinfo(L, "Sl", ar);
    snprintf(vm->expired_at, sizeof vm->expired_at, "%s:%d", ar->short_src, ar->currentline);
  }
  bool again = vm->expired;
  vm->expired = true;
  if (lua_isyieldable(L)) {
    lua_yield(L, 0);
    return;
  }
  // What catches the error is stopped at once the second time; the first leaves <close> variables a moment.
  lua_sethook(L, on_expired, LUA_MASKCOUNT, again ? 1 : INSTRUCTIONS);
  lua_pushfstring(L, "%s: stopped after %f s of CPU time without waiting (%s)", vm->expired_at,
                  vm->settings->limits.burst, vm->gauges.is_helper ? "offload.time" : "limits.burst");
  lua_error(L);
}

void watchdog_plant(lua_State *L) {
  lua_sethook(L, on_expired, LUA_MASKCOUNT, vm_of(L)->expired ? 1 : INSTRUCTIONS);
}

void watchdog_clear(lua_State *L) {
  lua_Hook hook = lua_gethook(L);
  if (hook == on_expired || hook == on_looked_at) vm_reset_hook(vm_of(L), L);
}

// In a signal handler: lua_getinfo only reads here, and the process ends either way.
static void abort_process(lua_State *L) {
  char text[400];
  lua_Debug ar = {.currentline = -1};
  for (int level = 0; level < FRAMES && ar.currentline < 0 && lua_getstack(L, level, &ar); level++)
    lua_getinfo(L, "Sl", &ar);
  int len = snprintf(text, sizeof text,
                     "spate: %s:%d: a script cannot be stopped (a long C call, or a loop in a finalizer): "
                     "aborting; limits.hang says when\n",
                     ar.currentline < 0 ? "?" : ar.short_src, ar.currentline);
  ssize_t n = write(STDERR_FILENO, text, (size_t)len);
  (void)n;
  abort();
}

static void on_tick(void) {
  struct vm *vm = watch.vm;
  if (!vm) return;
  lua_State *running = vm->running;
  if (!running || vm != watch.seen || vm->slice != watch.slice) {
    watch.seen = vm, watch.slice = vm->slice, watch.ticks = 0;
    return;
  }
  watch.ticks++;
  if (watch.ticks >= TICKS_PER_BURST) watchdog_plant(running);
  if (watch.ticks >= TICKS_PER_BURST * vm->settings->limits.hang / vm->settings->limits.burst)
    abort_process(running);
}

// Of the timer, or by watchdog_look_at.
static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  if (info->si_code == SI_TIMER) on_tick();
  else watchdog_look();
}

void watchdog_start(const struct settings *settings) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
  double tick = MAX(settings->limits.burst / TICKS_PER_BURST, TICK_MIN);
  struct timespec every = {.tv_sec = (time_t)tick, .tv_nsec = (long)((tick - (double)(time_t)tick) * 1e9)};
  watchdog_stop();
  event._sigev_un._tid = gettid();
  sigaction(SIGVTALRM, &action, NULL);
  watch.is_on = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &watch.timer) == 0;
  if (!watch.is_on || timer_settime(watch.timer, 0, &(struct itimerspec){every, every}, NULL) < 0)
    log_message(LOG_WARN, "no CPU timer: a script that never waits will not be stopped");
}

void watchdog_stop(void) {
  if (watch.is_on) timer_delete(watch.timer);
  watch.is_on = false;
}

void watchdog_enter(struct vm *vm) { watch.vm = vm; }

void watchdog_forget(const struct vm *vm) {
  if (watch.vm == vm) watch.vm = NULL;
}
