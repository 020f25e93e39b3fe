// SPDX-License-Identifier: MIT
// Files for spate.fs. What blocks is done on the pool's threads; a task waits in the handle of what it has
// begun. A handle is dropped by its own close, by the collector, or when its state leaves the loop, whatever
// is under way.
#include "script/bindings.h"
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "client/file_changes.h"
#include "client/file_io.h"
#include "client/tail.h"
#include "script/class.h"
#include "script/errand.h"
#include "script/file_error.h"
#include "script/held.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"

static const char TAIL[] = "spate.tail", CHANGES[] = "spate.changes";

enum { ENTRIES_MAX = 100000 };

// nil, why a file cannot be followed, and a word for it.
static int push_watch_errno(lua_State *L, int error) {
  if (error == EDQUOT)
    return push_failure_code(L,
                             lua_pushfstring(L, "more than %d files are followed (limits.files)",
                                             (int)vm_of(L)->settings->limits.files),
                             "busy");
  if (error == EMFILE || error == ENOSPC)
    return push_failure_code(L, "the user has no inotify watches left (fs.inotify in sysctl)", "busy");
  return push_file_error(L, error);
}

enum file_task { FILE_READ, FILE_WRITE, FILE_LIST };

static const char *const file_calls[] = {"fs.read", "fs.write", "fs.list"};

static int push_too_large(lua_State *L, enum file_task task, size_t max) {
  bool is_setting = task != FILE_LIST && max == vm_of(L)->settings->limits.file;
  return push_failure_code(L,
                           lua_pushfstring(L, "more than %I %s%s", (LUAI_UACINT)max,
                                           task == FILE_LIST ? "entries" : "bytes",
                                           is_setting ? " (limits.file)" : ""),
                           "too large");
}

struct file_errand {
  struct errand errand;
  enum file_task task;
  char *path;
  size_t max;
  struct buf bytes; // to write, or found
  int error;
  bool is_refused; // limits.work
};

static struct file_errand *file_errand_of(struct errand *e) {
  return container_of(e, struct file_errand, errand);
}

// 0 or an errno. A file may be larger than it said.
static int read_file(struct file_errand *f) {
  struct stat st;
  int fd = file_open_regular(f->path, &st), error = 0;
  if (fd < 0) return errno;
  size_t size = (size_t)st.st_size;
  f->is_refused = size <= f->max && !errand_hold(&f->errand, size);
  if (!f->is_refused) error = file_read(fd, size, f->max, &f->bytes);
  f->is_refused |= f->bytes.len > size && !errand_hold(&f->errand, f->bytes.len - size);
  close(fd);
  return error;
}

static void run_file(struct errand *e) {
  struct file_errand *f = file_errand_of(e);
  switch (f->task) {
  case FILE_READ: f->error = read_file(f); break;
  case FILE_WRITE: f->error = file_write(f->path, buf_span(&f->bytes)); break;
  case FILE_LIST:
    f->error = file_list(f->path, f->max, &f->bytes);
    f->is_refused = !errand_hold(&f->errand, f->bytes.len);
    break;
  }
}

static void free_file(struct errand *e) {
  struct file_errand *f = file_errand_of(e);
  buf_deinit(&f->bytes);
  free(f->path);
  free(f);
}

static void push_type(lua_State *L, char letter) {
  lua_pushstring(L, letter == 'f' ? "file" : letter == 'd' ? "directory" : letter == 'l' ? "link" : "other");
}

// { { name =, type = }, ... }
static void push_entries(lua_State *L, const struct buf *b) {
  lua_newtable(L);
  lua_Integer n = 0;
  for (const char *at = b->bytes, *end = at + b->len; at < end; at += strlen(at) + 1) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, at + 1);
    lua_setfield(L, -2, "name");
    push_type(L, *at);
    lua_setfield(L, -2, "type");
    lua_rawseti(L, -2, ++n);
  }
}

static int push_file(lua_State *L, struct errand *e) {
  const struct file_errand *f = file_errand_of(e);
  if (f->is_refused) return errand_push_busy(L, file_calls[f->task]);
  if (f->error == EFBIG && f->task != FILE_WRITE) return push_too_large(L, f->task, f->max);
  if (f->error) return push_file_error(L, f->error);
  if (f->task != FILE_LIST) counter_add(&vm_of(L)->service->counters.file_bytes_total, (int64_t)f->bytes.len);
  if (f->task == FILE_LIST) push_entries(L, &f->bytes);
  else if (f->task == FILE_READ) push_span(L, buf_span(&f->bytes));
  else lua_pushboolean(L, true);
  return 1;
}

static const struct errand_ops file_ops = {.run = run_file, .push = push_file, .free = free_file};

enum { FILE_TASK = 1, FILE_PATH, FILE_ARGUMENT, FILE_BOX };

// core.file_call(task, path, argument): 0 reads `argument` bytes at most, 1 writes the string `argument`, 2
// lists a folder. What it has read, true, or the entries; nil, message, code.
static int file_call(lua_State *L) {
  enum file_task task = (enum file_task)luaL_checkinteger(L, FILE_TASK);
  const char *path = luaL_checkstring(L, FILE_PATH);
  struct span data = {0};
  size_t max = task == FILE_LIST ? ENTRIES_MAX : vm_of(L)->settings->limits.file;
  if (task == FILE_WRITE) data.bytes = luaL_checklstring(L, FILE_ARGUMENT, &data.len);
  if (task == FILE_READ && !lua_isnil(L, FILE_ARGUMENT)) max = (size_t)luaL_checkinteger(L, FILE_ARGUMENT);
  lua_settop(L, FILE_ARGUMENT);
  struct task *t = task_check(L, file_calls[task]);
  if (data.len > max) return push_too_large(L, task, max);
  struct held **box = held_push_closed(L);
  struct file_errand *f = xmalloc(sizeof *f);
  *f = (struct file_errand){.task = task, .path = xstrdup(path), .max = max};
  errand_put(L, box, &f->errand, &file_ops);
  if (!errand_hold(&f->errand, data.len)) return errand_push_busy(L, file_calls[task]);
  buf_append_span(&f->bytes, data);
  return errand_wait(L, t, FILE_BOX, WORK_FILES, file_calls[task]);
}

struct tail_handle {
  struct held held;
  struct tail *tail; // NULL once it is closed
  struct waitlist waiting;
};

// By way of the tail's own place in its handle, which outlives it.
static void on_tail_news(struct tail *t) { waitlist_wake_all(&((struct tail_handle *)t->owner)->waiting); }

static void close_tail(struct tail_handle *h) {
  if (h->tail) tail_free(h->tail);
  h->tail = NULL;
  waitlist_wake_all(&h->waiting);
}

static void leave_tail(struct held *held) { close_tail(container_of(held, struct tail_handle, held)); }

static void drop_tail(struct vm *vm, struct held *held) {
  struct tail_handle *h = container_of(held, struct tail_handle, held);
  (void)vm;
  close_tail(h);
  free(h);
}

// NULL where it is closed or collected.
static struct tail_handle *check_tail(lua_State *L) {
  struct held **box = luaL_checkudata(L, 1, TAIL);
  struct tail_handle *h = *box ? container_of(*box, struct tail_handle, held) : NULL;
  return h && h->tail ? h : NULL;
}

enum { TAIL_BOX = 5 };

static int opened(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct held **box = lua_touserdata(L, TAIL_BOX);
  struct tail_handle *h = container_of(*box, struct tail_handle, held);
  int error = tail_status(h->tail);
  if (error == EINPROGRESS) return task_wait_in(L, vm_of(L)->current, &h->waiting, INFINITY, 0, opened);
  if (error) {
    close_tail(h);
    return push_watch_errno(L, error);
  }
  lua_settop(L, TAIL_BOX);
  return 1;
}

// core.tail_open(path, offset or nil, lines or nil, may_appear): a handle; nil, message, code.
static int tail_begin(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct tail_start start = {.from = lua_isnil(L, 2) ? TAIL_FROM_LINES : TAIL_FROM_OFFSET,
                             .may_appear = lua_toboolean(L, 4)};
  start.n = (uint64_t)luaL_optinteger(L, start.from == TAIL_FROM_LINES ? 3 : 2, 0);
  lua_settop(L, TAIL_BOX - 1);
  struct vm *vm = task_check(L, "fs.tail")->vm;
  struct held **box = held_push(L, TAIL, 0);
  struct tail_handle *h = xmalloc(sizeof *h);
  *h = (struct tail_handle){0};
  waitlist_init(&h->waiting);
  held_put(L, box, &h->held, drop_tail);
  h->held.leave = leave_tail;
  h->tail = tail_open(vm->service, path, start, h, on_tail_news);
  if (!h->tail) return push_watch_errno(L, EDQUOT);
  return opened(L, LUA_OK, 0);
}

static int took(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct tail_handle *h = check_tail(L);
  struct tail_line line;
  if (!h) return 0;
  switch (tail_take(h->tail, &line)) {
  case TAIL_END: return 0;
  case TAIL_WAIT: return task_wait_in(L, task_check(L, "fs.tail"), &h->waiting, INFINITY, 0, took);
  case TAIL_LINE: break;
  }
  push_span(L, line.text); // before what may collect
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "text");
  lua_pushinteger(L, (lua_Integer)line.offset);
  lua_setfield(L, -2, "offset");
  if (line.is_part) lua_pushboolean(L, true), lua_setfield(L, -2, "part");
  return 1;
}

// core.tail_take(handle): the next line as { text =, offset = [, part = true] }, waiting for it; nil at the
// end.
static int tail_next(lua_State *L) {
  lua_settop(L, 1);
  if (check_tail(L)) task_check(L, "fs.tail");
  return took(L, LUA_OK, 0);
}

// core.tail_close(handle)
static int tail_end(lua_State *L) {
  struct tail_handle *h = check_tail(L);
  if (h) close_tail(h);
  return 0;
}

struct changes_handle {
  struct held held;
  struct file_changes *changes; // NULL once it is closed
  struct waitlist waiting;
};

static void on_changes_news(struct file_changes *c) {
  waitlist_wake_all(&((struct changes_handle *)c->owner)->waiting);
}

static void close_changes(struct changes_handle *h) {
  if (h->changes) file_changes_free(h->changes);
  h->changes = NULL;
  waitlist_wake_all(&h->waiting);
}

static void leave_changes(struct held *held) {
  close_changes(container_of(held, struct changes_handle, held));
}

static void drop_changes(struct vm *vm, struct held *held) {
  struct changes_handle *h = container_of(held, struct changes_handle, held);
  (void)vm;
  close_changes(h);
  free(h);
}

static struct changes_handle *check_changes(lua_State *L) {
  struct held **box = luaL_checkudata(L, 1, CHANGES);
  struct changes_handle *h = *box ? container_of(*box, struct changes_handle, held) : NULL;
  return h && h->changes ? h : NULL;
}

// core.changes_open(path): a handle; nil, message, code.
static int changes_begin(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int error;
  struct vm *vm = task_check(L, "fs.watch")->vm;
  struct held **box = held_push(L, CHANGES, 0);
  struct changes_handle *h = xmalloc(sizeof *h);
  *h = (struct changes_handle){0};
  waitlist_init(&h->waiting);
  held_put(L, box, &h->held, drop_changes);
  h->held.leave = leave_changes;
  h->changes = file_changes_open(vm->service, path, h, on_changes_news, &error);
  return h->changes ? 1 : push_watch_errno(L, error);
}

static const char *word_of(unsigned what) {
  return what == FILE_CREATED   ? "created"
         : what == FILE_REMOVED ? "removed"
         : what == FILE_CHANGED ? "changed"
                                : "unknown";
}

// Of the path at 2, or of the name in it, which is below the text at 3.
static void push_change(lua_State *L, unsigned what, const char *name) {
  bool is_inside = *name;
  lua_pushstring(L, name); // before what may collect
  lua_createtable(L, 0, 3);
  lua_pushstring(L, word_of(what));
  lua_setfield(L, -2, "what");
  lua_pushvalue(L, is_inside ? 3 : 2);
  lua_pushvalue(L, -3);
  lua_concat(L, 2);
  lua_setfield(L, -2, "path");
  lua_insert(L, -2);
  if (is_inside) lua_setfield(L, -2, "name");
  else lua_pop(L, 1);
}

// It is dropped once it is in a table: what there is no memory to tell is told another time. Making that may
// collect, and a finalizer close the handle.
static int took_change(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct changes_handle *h = check_changes(L);
  unsigned what;
  const char *name;
  if (!h) return 0;
  if (!file_changes_peek(h->changes, &what, &name))
    return task_wait_in(L, task_check(L, "fs.watch"), &h->waiting, INFINITY, 0, took_change);
  push_change(L, what, name);
  h = check_changes(L);
  if (h) file_changes_drop(h->changes);
  return 1;
}

// core.changes_take(handle, path, path with a slash): the next change as { what =, path = [, name =] },
// waiting for it; nil at the end.
static int changes_next(lua_State *L) {
  lua_settop(L, 3);
  if (check_changes(L)) task_check(L, "fs.watch");
  return took_change(L, LUA_OK, 0);
}

// core.changes_close(handle)
static int changes_end(lua_State *L) {
  struct changes_handle *h = check_changes(L);
  if (h) close_changes(h);
  return 0;
}

void fs_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"file_call", file_call},        {"tail_open", tail_begin},
                                       {"tail_take", tail_next},        {"tail_close", tail_end},
                                       {"changes_open", changes_begin}, {"changes_take", changes_next},
                                       {"changes_close", changes_end},  {NULL, NULL}};
  class_new(L, TAIL, NULL, held_collect);
  class_new(L, CHANGES, NULL, held_collect);
  luaL_setfuncs(L, functions, 0);
}
