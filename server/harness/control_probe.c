// SPDX-License-Identifier: MIT
// The side of a control socket that asks, and one server that answers on a thread what a spec has said; and
// signals that a loop reads.
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "harness/harness.h"
#include "loop/control_client.h"
#include "loop/signals.h"
#include "loop/sock.h"
#include "script/class.h"

// harness.setenv(name [, value])
static int set_environment(lua_State *L) {
  const char *value = luaL_optstring(L, 2, NULL);
  if (value) setenv(luaL_checkstring(L, 1), value, 1);
  else unsetenv(luaL_checkstring(L, 1));
  return 0;
}

// harness.control_path(pid, make [, user]): nil where there can be none, for root also as another user.
static int path_of(lua_State *L) {
  char path[CONTROL_PATH_MAX];
  uid_t self = geteuid();
  if (seteuid((uid_t)luaL_optinteger(L, 3, self)) < 0) return luaL_error(L, "who is not root is nobody else");
  bool ok = control_path((pid_t)luaL_checkinteger(L, 1), lua_toboolean(L, 2), path);
  if (seteuid(self) < 0) abort();
  lua_pushstring(L, ok ? path : NULL);
  return 1;
}

// harness.control_list(): a table of pids.
static int list_pids(lua_State *L) {
  static pid_t pids[CONTROL_PIDS_MAX];
  size_t n = control_list(pids);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushinteger(L, pids[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

// harness.control_ask(pid, question, timeout [, before]): the answer, behind what was there before; nil, and
// that.
static int ask(lua_State *L) {
  struct buf answer = {0};
  const char *question = luaL_checkstring(L, 2);
  double timeout = luaL_checknumber(L, 3);
  buf_printf(&answer, "%s", luaL_optstring(L, 4, ""));
  bool ok = control_ask((pid_t)luaL_checkinteger(L, 1), question, timeout, &answer);
  if (!ok) lua_pushnil(L);
  lua_pushlstring(L, answer.bytes ? answer.bytes : "", answer.len);
  buf_deinit(&answer);
  return ok ? 1 : 2;
}

// Who answers: one client, on a thread of its own.
struct answerer {
  pthread_t thread;
  int listening, repeats;
  size_t wanted; // bytes of a question
  char *answer, got[256];
  bool is_silent, is_done;
};

static const char ANSWERER[] = "spate.harness.answerer";

static void *answer_one(void *arg) {
  struct answerer *a = arg;
  int fd = accept(a->listening, NULL, NULL);
  ssize_t n = 1;
  for (size_t len = 0; len < a->wanted && n > 0; len += (size_t)n)
    n = recv(fd, a->got + len, sizeof a->got - 1 - len, 0);
  for (int i = 0; i < a->repeats; i++) send(fd, a->answer, strlen(a->answer), MSG_NOSIGNAL);
  if (a->is_silent) poll(&(struct pollfd){.fd = fd, .events = POLLRDHUP}, 1, -1); // until the client leaves
  close(fd);
  return NULL;
}

// harness.answerer(path, wanted, answer [, repeats [, silent]]): reads so many bytes of who connects, answers
// so often, and ends; or says no more.
static int answerer_new(lua_State *L) {
  char error[SOCK_ERROR_MAX];
  lua_settop(L, 5);
  lua_pushfstring(L, "unix:%s", luaL_checkstring(L, 1));
  size_t wanted = (size_t)luaL_checkinteger(L, 2);
  const char *answer = luaL_checkstring(L, 3);
  struct answerer *a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = (struct answerer){.wanted = wanted,
                         .repeats = (int)luaL_optinteger(L, 4, 1),
                         .is_silent = lua_toboolean(L, 5),
                         .is_done = true};
  luaL_setmetatable(L, ANSWERER);
  a->listening = sock_listen(lua_tostring(L, -2), false, error);
  if (a->listening < 0) return luaL_error(L, "%s", error);
  fcntl(a->listening, F_SETFL, 0); // its thread waits
  a->answer = xstrdup(answer);
  a->is_done = pthread_create(&a->thread, NULL, answer_one, a) != 0;
  return 1;
}

// answerer:got(): waits for its end; what it was asked.
static int answerer_got(lua_State *L) {
  struct answerer *a = luaL_checkudata(L, 1, ANSWERER);
  if (!a->is_done) {
    pthread_join(a->thread, NULL);
    close(a->listening);
    free(a->answer);
    a->is_done = true;
  }
  lua_pushstring(L, a->got);
  return 1;
}

struct told {
  struct loop loop;
  struct signals signals;
  struct loop_hook hook;
  int turns;
  struct buf log;
};

static void on_signal(struct signals *s, int number) {
  buf_printf(&container_of(s, struct told, signals)->log, "%d ", number);
}

static bool count_turns(struct loop_hook *h) {
  struct told *t = container_of(h, struct told, hook);
  if (t->turns++ == 4) loop_stop(&t->loop);
  return true;
}

// harness.signals(number, ...): 0 where there is something to tell by, whether that is no program's that we
// start and never blocks, and what a loop that watches all of them is told where this thread gets the first.
static int tell_signals(lua_State *L) {
  struct told t = {.signals = {.on_signal = on_signal}, .hook = {.run = count_turns}};
  sigset_t set, before;
  sigemptyset(&set);
  for (int i = 1; i <= lua_gettop(L); i++) sigaddset(&set, (int)luaL_checkinteger(L, i));
  pthread_sigmask(SIG_BLOCK, &set, &before);
  loop_init(&t.loop, clock_system(), true);
  loop_hook_add(&t.loop, &t.hook);
  signals_stop(&t.signals); // never started
  bool is_ours = false;
  int started = signals_start(&t.signals, &t.loop, &set);
  if (!started) {
    int fd = watch_fd(&t.signals.watch);
    is_ours = fcntl(fd, F_GETFD) & FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK;
    pthread_kill(pthread_self(), (int)lua_tointeger(L, 1));
    loop_run(&t.loop);
    signals_stop(&t.signals);
    int another = fcntl(0, F_DUPFD_CLOEXEC, fd); // the number is another's now
    signals_stop(&t.signals);
    is_ours &= another == fd && fcntl(another, F_GETFD) >= 0;
    close(another);
    t.turns = 0;
    loop_run(&t.loop);
  }
  loop_deinit(&t.loop);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  lua_pushinteger(L, started);
  lua_pushboolean(L, is_ours);
  lua_pushlstring(L, t.log.bytes ? t.log.bytes : "", t.log.len);
  buf_deinit(&t.log);
  return 3;
}

void control_probe_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"setenv", set_environment},
                                       {"control_path", path_of},
                                       {"control_list", list_pids},
                                       {"control_ask", ask},
                                       {"answerer", answerer_new},
                                       {"signals", tell_signals},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {{"got", answerer_got}, {NULL, NULL}};
  class_new(L, ANSWERER, methods, answerer_got);
  luaL_setfuncs(L, functions, 0);
}
