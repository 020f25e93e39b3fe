// SPDX-License-Identifier: MIT
// Code of a spec runs in the application's state, and its lines are counted there; only bytes cross, since no
// function ever takes two states.
#include "harness/probe.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "event/event.h"
#include "loop/sock.h"
#include "script/lua_settings.h"
#include "script/task.h"
#include "serve/settings.h"

struct code_run {
  struct span code;
  struct buf *out;
};

static void put_result(lua_State *L, struct buf *out) {
  size_t len;
  const char *text = luaL_tolstring(L, -1, &len);
  buf_append(out, text, len);
}

static int probe_call(lua_State *L) {
  struct code_run *w = lua_touserdata(L, 1);
  if (luaL_loadbufferx(L, w->code.bytes, w->code.len, "=spate.test", "t") != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  put_result(L, w->out);
  return 0;
}

bool probe_run(struct vm *vm, struct span code, struct buf *out) {
  struct code_run w = {code, out};
  lua_pushcfunction(vm->L, probe_call);
  lua_pushlightuserdata(vm->L, &w);
  if (vm_pcall(vm, 1, 0) == LUA_OK) return true;
  const char *message = lua_type(vm->L, -1) == LUA_TSTRING ? lua_tostring(vm->L, -1) : "no message";
  buf_append(out, message, strlen(message));
  lua_pop(vm->L, 1);
  return false;
}

size_t probe_tasks(const struct vm *vm) {
  size_t n = 0;
  list_each (node, &vm->tasks) n += !container_of(node, struct task, all_link)->of_app;
  return n;
}

struct coverage_file {
  struct map_node node;
  uint64_t *lines;
  size_t count;
};

void coverage_init(struct coverage *c) {
  map_init(&c->files, (uintptr_t)c);
  c->last = NULL;
}

static void free_file(struct map_node *node, void *arg) {
  struct coverage_file *f = container_of(node, struct coverage_file, node);
  (void)arg;
  free(f->lines);
  free((char *)(uintptr_t)f->node.name.bytes);
  free(f);
}

void coverage_deinit(struct coverage *c) {
  map_each(&c->files, free_file, NULL);
  map_deinit(&c->files);
}

static struct coverage_file *file_of(struct coverage *c, struct span name) {
  if (c->last && span_equal(c->last->node.name, name)) return c->last;
  struct map_node *node = map_find(&c->files, name);
  if (!node) {
    struct coverage_file *f = xcalloc(1, sizeof *f);
    f->node.name = (struct span){xstrdup(name.bytes), name.len};
    map_insert(&c->files, &f->node);
    node = &f->node;
  }
  return c->last = container_of(node, struct coverage_file, node);
}

void coverage_count(struct coverage *c, lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "S", ar);
  if (ar->source[0] != '@' || ar->currentline < 1) return;
  struct coverage_file *f = file_of(c, span_of(ar->source + 1));
  size_t line = (size_t)ar->currentline;
  if (line >= f->count) {
    size_t count = MAX(line + 1, f->count * 2);
    f->lines = xrealloc(f->lines, count * sizeof *f->lines);
    memset(f->lines + f->count, 0, (count - f->count) * sizeof *f->lines);
    f->count = count;
  }
  f->lines[line]++;
}

static void push_file(struct map_node *node, void *arg) {
  const struct coverage_file *f = container_of(node, struct coverage_file, node);
  lua_State *L = arg;
  lua_newtable(L);
  for (size_t i = 0; i < f->count; i++) {
    if (!f->lines[i]) continue;
    lua_pushinteger(L, (lua_Integer)f->lines[i]);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
  lua_setfield(L, -2, node->name.bytes);
}

void coverage_push(struct coverage *c, lua_State *L) {
  lua_newtable(L);
  map_each(&c->files, push_file, L);
}

// Of the address sanitizer, where it is there.
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

// harness.descriptors(): how many this process has open.
static int descriptors(lua_State *L) {
  lua_Integer n = 0;
  DIR *dir = opendir("/proc/self/fd");
  while (dir && readdir(dir)) n++;
  if (dir) closedir(dir);
  lua_pushinteger(L, n);
  return 1;
}

// harness.leaks(): true where memory is lost; the sanitizer has said which.
static int leaks(lua_State *L) {
  lua_pushboolean(L, __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check());
  return 1;
}

// harness.events(): how many are alive in this process.
static int count_events(lua_State *L) {
  lua_pushinteger(L, event_count());
  return 1;
}

// harness.seconds(): of the machine's clock, which never goes back.
static int real_seconds(lua_State *L) {
  lua_pushnumber(L, clock_now(clock_system()));
  return 1;
}

// harness.event_lengths(n): of one with n bytes in a frame, all and those without it.
static int event_lengths(lua_State *L) {
  char *bare;
  struct event *e = event_new_framed((size_t)luaL_checkinteger(L, 1), &bare);
  lua_pushinteger(L, (lua_Integer)e->len);
  lua_pushinteger(L, (lua_Integer)event_bare_len(e));
  event_unref(e);
  return 2;
}

// harness.socket_name(fd)
static int socket_name(lua_State *L) {
  char name[SOCK_NAME_MAX];
  sock_name((int)luaL_checkinteger(L, 1), name);
  lua_pushstring(L, name);
  return 1;
}

// harness.socket_peer(fd): "-" where it has none.
static int socket_peer(lua_State *L) {
  struct address peer = sock_peer((int)luaL_checkinteger(L, 1));
  char text[ADDRESS_TEXT_MAX];
  lua_pushlstring(L, text, address_text(&peer, text));
  return 1;
}

// harness.descriptors_max(): how many there may be.
static int descriptors_max(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sock_descriptors_max());
  return 1;
}

// harness.limit_descriptors([n]): how many more this process may open from now on; as many as before.
static int limit_descriptors(lua_State *L) {
  static struct rlimit before;
  int taken[8] = {0}, n = (int)luaL_optinteger(L, 1, -1) + 1;
  luaL_argcheck(L, n <= (int)countof(taken), 1, "fewer are expected");
  if (!before.rlim_max) getrlimit(RLIMIT_NOFILE, &before);
  setrlimit(RLIMIT_NOFILE, &before);
  if (!n) return 0;
  for (int i = 0; i < n; i++) taken[i] = dup(0); // the lowest that are free, wherever they are
  struct rlimit limit = {(rlim_t)taken[n - 1], before.rlim_max};
  for (int i = 0; i < n; i++) close(taken[i]);
  setrlimit(RLIMIT_NOFILE, &limit);
  return 0;
}

// harness.are_defaults(settings [, dev]): whether they are what holds where nothing is set, or what `spate
// dev` sets; and shutdown.window, which cannot be set to 0.
static int are_defaults(lua_State *L) {
  struct settings defaults = settings_default();
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_toboolean(L, 2)) settings_for_dev(&defaults);
  struct settings read = defaults;
  settings_read(L, 1, &read);
  lua_pushboolean(L, !memcmp(&defaults, &read, sizeof read));
  lua_pushnumber(L, defaults.shutdown.window);
  return 2;
}

// harness.hash(bytes, number): a number that both make.
static int hash(lua_State *L) {
  struct span bytes;
  bytes.bytes = luaL_checklstring(L, 1, &bytes.len);
  lua_pushinteger(L, (lua_Integer)hash_bytes(bytes, (uint64_t)luaL_checkinteger(L, 2)));
  return 1;
}

void probe_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"events", count_events},
                                       {"event_lengths", event_lengths},
                                       {"seconds", real_seconds},
                                       {"leaks", leaks},
                                       {"descriptors", descriptors},
                                       {"limit_descriptors", limit_descriptors},
                                       {"descriptors_max", descriptors_max},
                                       {"socket_name", socket_name},
                                       {"socket_peer", socket_peer},
                                       {"are_defaults", are_defaults},
                                       {"hash", hash},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
