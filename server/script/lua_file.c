// SPDX-License-Identifier: MIT
// A file's handle, and the folders that files are served from. The descriptor is closed with the answer or
// with the request, not when the collector finds the handle.
#include "script/bindings.h"
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/util.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/held.h"
#include "script/lua_fields.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"
#include "serve/files.h"

static const char FILE_META[] = "spate.file", ROOT_META[] = "spate.root";

struct file_handle {
  struct held held;
  struct listed_file listed; // by the exchange that it was opened for
};

static void drop_file(struct vm *vm, struct held *held) {
  struct file_handle *f = container_of(held, struct file_handle, held);
  (void)vm;
  list_remove(&f->listed.link);
  file_close(&f->listed.file);
  free(f);
}

static struct listed_file *push_closed_file(lua_State *L) {
  struct held **box = held_push(L, FILE_META, 1);
  struct file_handle *f = xmalloc(sizeof *f);
  *f = (struct file_handle){.listed.file.fd = -1};
  list_init(&f->listed.link);
  held_put(L, box, &f->held, drop_file);
  return &f->listed;
}

static struct listed_file *check_file(lua_State *L, int index) {
  struct held *h = *(struct held **)luaL_checkudata(L, index, FILE_META);
  if (!h) raise_error(L, "the file has been collected: a finalizer may run after those of what it refers to");
  return &container_of(h, struct file_handle, held)->listed;
}

static int collect_root(lua_State *L) {
  int *root = lua_touserdata(L, 1);
  if (*root >= 0) close(*root);
  *root = -1;
  return 0;
}

static int open_root(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int *root = lua_newuserdatauv(L, sizeof *root, 0);
  *root = -1;
  luaL_setmetatable(L, ROOT_META);
  *root = file_root_open(path);
  if (*root >= 0) return 1;
  return push_failure(L, errno == ENOSYS ? "this kernel has no openat2(2)" : strerror(errno));
}

// Told apart by the library, which makes statuses of them.
static int push_error(lua_State *L, enum file_error error) {
  static const char *const names[] = {"", "missing", "directory", "forbidden", "busy"};
  return push_failure(L, names[error]);
}

static int open_file(lua_State *L) {
  struct span path;
  const struct task *t = vm_of(L)->current;
  path.bytes = luaL_checklstring(L, 1, &path.len);
  const int *root = lua_isnoneornil(L, 2) ? NULL : luaL_checkudata(L, 2, ROOT_META);
  bool is_named = root ? file_path_is_public(path, lua_toboolean(L, 3)) : !memchr(path.bytes, 0, path.len);
  if (!is_named) return push_error(L, FILE_MISSING);
  struct listed_file *f = push_closed_file(L);
  if (root) lua_pushvalue(L, 2), lua_setiuservalue(L, -2, 1);
  enum file_error error = file_open(&f->file, root ? *root : -1, path.len ? path.bytes : ".");
  if (error) return push_error(L, error);
  if (t && t->exchange) list_append(&t->exchange->files, &f->link);
  return 1;
}

static int answer_file(lua_State *L) {
  struct field fields[FIELDS_MAX];
  struct exchange *ex = exchange_check(L, 1);
  int status = (int)luaL_checkinteger(L, 2);
  struct span type = {0};
  type.bytes = luaL_optlstring(L, 3, NULL, &type.len);
  struct listed_file *f = check_file(L, 4);
  size_t n = read_fields(L, 5, fields);
  bool is_open = f->file.fd >= 0;
  list_remove(&f->link);
  if (is_open && ex && ex->stream && ex->stream->state == STREAM_WAITING)
    file_answer(&f->file, ex->stream, status, type, fields, n);
  file_close(&f->file);
  lua_pushboolean(L, is_open);
  return 1;
}

// core.file_text(file, max): its content, nil where that is longer or it was sent already.
static int file_text(lua_State *L) {
  const struct file *f = &check_file(L, 1)->file;
  luaL_Buffer b;
  if (f->fd < 0 || f->size > (uint64_t)luaL_checkinteger(L, 2)) return lua_pushnil(L), 1;
  char *into = luaL_buffinitsize(L, &b, f->size);
  ssize_t n = pread(f->fd, into, f->size, 0);
  luaL_pushresultsize(&b, n > 0 ? (size_t)n : 0);
  return 1;
}

void file_functions_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"open_root", open_root},
                                       {"open_file", open_file},
                                       {"answer_file", answer_file},
                                       {"file_text", file_text},
                                       {NULL, NULL}};
  class_new(L, FILE_META, NULL, held_collect);
  class_new(L, ROOT_META, NULL, collect_root);
  luaL_setfuncs(L, functions, 0);
}
