// SPDX-License-Identifier: MIT
// A batch, and pairs of sockets that it sends to. Who sends does what the spec has said when it is told.
#include "harness/harness.h"
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/batch.h"
#include "script/class.h"

enum { SENDERS = 2000 };

static const char BATCH[] = "spate.harness.batch";

struct batch_probe {
  struct batch *batch; // NULL: closed
  double now;
  struct buf log;
  struct probe_sender {
    struct batched batched;
    struct batch_probe *probe;
    int near, far; // 0: none
    char *given;
    int withdraws; // when it is told; -1: nobody
  } senders[SENDERS];
};

static struct batch_probe *check(lua_State *L) {
  struct batch_probe *p = luaL_checkudata(L, 1, BATCH);
  if (!p->batch) luaL_error(L, "the batch is closed");
  return p;
}

static struct probe_sender *check_sender(lua_State *L) {
  struct batch_probe *p = check(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_argcheck(L, i >= 0 && i < SENDERS, 2, "no such sender");
  struct probe_sender *s = p->senders + i;
  int pair[2];
  s->probe = p;
  if (s->near) return s;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
    luaL_error(L, "no sockets");
  s->near = pair[0], s->far = pair[1], s->withdraws = -1;
  fcntl(s->near, F_SETFL, 0); // whoever sends says that it does not wait
  return s;
}

static void on_done(struct batched *b, const struct batch_outcome *o) {
  struct probe_sender *s = container_of(b, struct probe_sender, batched);
  struct batch_probe *p = s->probe;
  buf_printf(&p->log, "%d:%zd/%zu ", (int)(s - p->senders), o->sent, o->len);
  if (s->withdraws >= 0) batch_withdraw(p->batch, &p->senders[s->withdraws].batched);
}

// batch:open(), batch:close(): what was told, and how many sends there were.
static int probe_begin(lua_State *L) {
  struct batch_probe *p = check(L);
  p->now += luaL_optnumber(L, 2, 0);
  batch_open(p->batch, p->now);
  lua_pushboolean(L, batch_is_open(p->batch));
  return 1;
}

static int probe_enter(lua_State *L) {
  struct batch_probe *p = check(L);
  lua_Integer sends = batch_close(p->batch, p->now);
  lua_pushlstring(L, p->log.bytes ? p->log.bytes : "", p->log.len ? p->log.len - 1 : 0);
  lua_pushinteger(L, sends);
  buf_deinit(&p->log);
  return 2;
}

// batch:send(i, bytes [, pieces]): whether it is in the batch.
static int probe_send(lua_State *L) {
  struct probe_sender *s = check_sender(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 3, &len);
  int count = (int)luaL_optinteger(L, 4, 1);
  struct iovec iov[1024];
  free(s->given);
  s->given = memcpy(xmalloc(len + 1), bytes, len + 1);
  for (int i = 0; i < count; i++) iov[i] = (struct iovec){s->given, len};
  lua_pushboolean(
      L, batch_send(s->probe->batch, &s->batched, s->near, iov, count, len * (size_t)count, on_done));
  return 1;
}

// batch:withdraw(i), and batch:on_done(i, j): j is withdrawn when i is told.
static int probe_withdraw(lua_State *L) {
  struct probe_sender *s = check_sender(L);
  batch_withdraw(s->probe->batch, &s->batched);
  memset(s->given, 'x', strlen(s->given)); // whatever is still sent from there shows
  return 0;
}

static int probe_on_done(lua_State *L) {
  check_sender(L)->withdraws = (int)luaL_checkinteger(L, 3);
  return 0;
}

// batch:take(i): what has come at the far end.
static int probe_take(lua_State *L) {
  struct probe_sender *s = check_sender(L);
  char bytes[65536];
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (ssize_t n; (n = recv(s->far, bytes, sizeof bytes, 0)) > 0;) luaL_addlstring(&b, bytes, (size_t)n);
  luaL_pushresult(&b);
  return 1;
}

// batch:leave(i): the far end is closed.
static int probe_leave(lua_State *L) {
  struct probe_sender *s = check_sender(L);
  close(s->far);
  s->far = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return 0;
}

static int probe_free(lua_State *L) {
  struct batch_probe *p = luaL_checkudata(L, 1, BATCH);
  if (!p->batch) return 0;
  log_capture(NULL, NULL);
  batch_free(p->batch);
  p->batch = NULL;
  for (int i = 0; i < SENDERS; i++) {
    struct probe_sender *s = p->senders + i;
    if (s->near) close(s->near), close(s->far), free(s->given);
  }
  buf_deinit(&p->log);
  return 0;
}

static void on_line(void *owner, const char *line, size_t len) {
  struct batch_probe *p = owner;
  buf_printf(&p->log, "%.*s ", (int)len, line);
}

// harness.batch(): nil and why where there is none.
static int probe_new(lua_State *L) {
  struct batch_probe *p = lua_newuserdatauv(L, sizeof *p, 0);
  memset(p, 0, sizeof *p);
  luaL_setmetatable(L, BATCH);
  const char *why;
  p->batch = batch_new(&why);
  if (!p->batch) return lua_pushnil(L), lua_pushstring(L, why), 2;
  log_capture(on_line, p);
  return 1;
}

// harness.has_rings(): whether the kernel and the build have io_uring, as far as one can tell without them.
static int has_rings(lua_State *L) {
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                            IORING_SETUP_SUBMIT_ALL};
  int fd = (int)syscall(__NR_io_uring_setup, 1, &params);
  if (fd >= 0) close(fd);
  lua_pushboolean(L, fd >= 0 && ring_library_version());
  return 1;
}

void batch_probe_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"open", probe_begin},        {"close", probe_enter},     {"send", probe_send},
      {"withdraw", probe_withdraw}, {"on_done", probe_on_done}, {"take", probe_take},
      {"leave", probe_leave},       {"free", probe_free},       {NULL, NULL}};
  class_new(L, BATCH, methods, probe_free);
  lua_pushcfunction(L, probe_new);
  lua_setfield(L, -2, "batch");
  lua_pushcfunction(L, has_rings);
  lua_setfield(L, -2, "has_rings");
}
