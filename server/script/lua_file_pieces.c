// SPDX-License-Identifier: MIT
// Files that go to other servers: opened, and read piece by piece, on the pool's threads while a task waits.
// The descriptor is the errand's while one is under way; who leaves leaves it that.
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "client/file_io.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/errand.h"
#include "script/file_error.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/vm.h"

static const char META[] = "spate.file_pieces", WHAT[] = "reading a file";

struct file_pieces {
  struct held held;
  int fd; // -1: closed, or an errand has it
  bool is_closed;
};

struct piece_errand {
  struct errand errand;
  char *path; // to open; NULL: the next piece
  int fd;
  size_t size, max;
  struct buf bytes;
  int error;
};

static struct piece_errand *piece_of(struct errand *e) {
  return container_of(e, struct piece_errand, errand);
}

static void close_pieces(struct file_pieces *f) {
  if (f->fd >= 0) close(f->fd);
  f->fd = -1, f->is_closed = true;
}

static void drop_pieces(struct vm *vm, struct held *held) {
  struct file_pieces *f = container_of(held, struct file_pieces, held);
  (void)vm;
  close_pieces(f);
  free(f);
}

// NULL where it is closed or collected.
static struct file_pieces *check_pieces(lua_State *L) {
  struct held **box = luaL_checkudata(L, 1, META);
  struct file_pieces *f = *box ? container_of(*box, struct file_pieces, held) : NULL;
  return f && !f->is_closed ? f : NULL;
}

static void run_open(struct piece_errand *p) {
  struct stat st;
  p->fd = file_open_regular(p->path, &st);
  if (p->fd < 0) p->error = errno;
  else p->size = (size_t)st.st_size;
}

static void run_piece(struct errand *e) {
  struct piece_errand *p = piece_of(e);
  if (p->path) {
    run_open(p);
    return;
  }
  ssize_t n = read(p->fd, buf_reserve(&p->bytes, p->max), p->max);
  if (n < 0) p->error = errno;
  else p->bytes.len = (size_t)n;
}

static void free_piece(struct errand *e) {
  struct piece_errand *p = piece_of(e);
  if (p->fd >= 0) close(p->fd);
  buf_deinit(&p->bytes);
  free(p->path);
  free(p);
}

static int push_opened(lua_State *L, struct piece_errand *p) {
  struct held **box = held_push(L, META, 0);
  struct file_pieces *f = xmalloc(sizeof *f);
  *f = (struct file_pieces){.fd = p->fd};
  p->fd = -1;
  held_put(L, box, &f->held, drop_pieces);
  lua_pushinteger(L, (lua_Integer)p->size);
  return 2;
}

static int push_piece(lua_State *L, struct errand *e) {
  struct piece_errand *p = piece_of(e);
  if (p->path) return p->error ? push_file_error(L, p->error) : push_opened(L, p);
  struct file_pieces *f = check_pieces(L);
  if (f) f->fd = p->fd, p->fd = -1;
  if (p->error) return push_file_error(L, p->error);
  if (p->bytes.len) push_span(L, buf_span(&p->bytes));
  else lua_pushnil(L);
  return 1;
}

static const struct errand_ops piece_ops = {.run = run_piece, .push = push_piece, .free = free_piece};

static struct piece_errand *begin_piece(lua_State *L, struct piece_errand from) {
  struct held **box = held_push_closed(L);
  struct piece_errand *p = xmalloc(sizeof *p);
  *p = from;
  errand_put(L, box, &p->errand, &piece_ops);
  return p;
}

// core.file_open(path): a handle, and its size; nil, message, code.
static int open_pieces(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  struct task *t = task_check(L, WHAT);
  begin_piece(L, (struct piece_errand){.fd = -1})->path = xstrdup(path);
  return errand_wait(L, t, 2, WORK_FILES, WHAT);
}

// core.file_next(handle, max): the next bytes, nil at the end; nil, message, code.
static int next_piece(lua_State *L) {
  struct file_pieces *f = check_pieces(L);
  size_t max = (size_t)luaL_checkinteger(L, 2);
  lua_settop(L, 2);
  struct task *t = task_check(L, WHAT);
  if (!f || f->fd < 0) return push_failure_code(L, "the file is closed", "closed");
  struct piece_errand *p = begin_piece(L, (struct piece_errand){.fd = -1, .max = max});
  f = check_pieces(L); // making that may collect, and a finalizer close it
  if (!f) return push_failure_code(L, "the file is closed", "closed");
  if (!errand_hold(&p->errand, max)) return errand_push_busy(L, WHAT);
  p->fd = f->fd, f->fd = -1;
  return errand_wait(L, t, 3, WORK_FILES, WHAT);
}

// core.file_close(handle)
static int end_pieces(lua_State *L) {
  struct file_pieces *f = check_pieces(L);
  if (f) close_pieces(f);
  return 0;
}

void file_pieces_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"file_open", open_pieces}, {"file_next", next_piece}, {"file_close", end_pieces}, {NULL, NULL}};
  class_new(L, META, NULL, held_collect);
  luaL_setfuncs(L, functions, 0);
}
