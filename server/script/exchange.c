// SPDX-License-Identifier: MIT
// From a request to the task that answers it, and back: what the stream tells (body complete, room again,
// gone) only links, since it may come in the midst of a hand-out: Lua allocates, allocating collects, and a
// collection frees other subscribers. The route is found here, in C, before any Lua runs.
#include "script/exchange.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "event/sse.h"
#include "http/authority.h"
#include "http/forwarded.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"
#include "serve/connections.h"
#include "serve/error_reply.h"
#include "serve/files.h"
#include "serve/form.h"

enum { ERROR_EVENT_MAX = 4096 };
// Beside the application's own, which count from 1. The last is never told to the library.
enum { ROUTE_NOT_FOUND = 0, ROUTE_OTHER_METHOD = -1, ROUTE_NO_SUCH_METHOD = -2, ROUTE_ANSWERED = -3 };

// The request goes when nobody is left who works on it, which may be long before the collector finds the
// userdata.
static void release(struct exchange *ex) {
  if (ex->stream || ex->task || ex->closing) return;
  files_close(&ex->files);
  if (ex->request) ex->vm->exchange_count--;
  request_free(ex->request);
  ex->request = NULL;
  form_free(ex->form);
  ex->form = NULL;
  if (list_empty(&ex->held.link)) slab_free(&ex->vm->slab, ex, sizeof *ex);
}

static void on_body(struct stream *s) { waitlist_wake_all(&((struct exchange *)s->owner)->waiting); }

static void on_drain(struct stream *s) { waitlist_wake_all(&((struct exchange *)s->owner)->waiting); }

static void set_closing(struct exchange *ex, bool closing) {
  ex->vm->closing_count += (size_t)closing - ex->closing;
  ex->closing = closing;
}

static void on_closers_end(struct task *t, int status) {
  (void)status;
  set_closing(t->exchange, false);
  release(t->exchange);
}

// "GET /path"
static void add_request(const struct task *t, struct log_line *line) {
  const struct request *r = t->exchange ? t->exchange->request : NULL;
  struct buf text = {0};
  if (!r) return;
  buf_append(&text, r->method_name.bytes, r->method_name.len);
  buf_append_byte(&text, ' ');
  buf_append(&text, r->path.bytes, r->path.len);
  log_field(line, SPAN("request"), buf_span(&text));
  buf_deinit(&text);
}

static const struct task_ops closers_ops = {.on_end = on_closers_end, .add_fields = add_request};

static int run_closers(lua_State *L) {
  struct exchange *ex = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, ex->vm->closers_ref);
  lua_rawgeti(L, LUA_REGISTRYINDEX, ex->anchor);
  lua_pushstring(L, close_reason_name(ex->reason));
  task_follow(L, 2, &closers_ops)->exchange = ex;
  return 0;
}

static void drop_anchor(struct exchange *ex) {
  vm_unref(ex->vm, ex->anchor);
  ex->anchor = LUA_NOREF;
}

static void start_closers(struct exchange *ex) {
  struct vm *vm = ex->vm;
  lua_pushcfunction(vm->L, run_closers);
  lua_pushlightuserdata(vm->L, ex);
  bool ok = vm_pcall(vm, 1, 0) == LUA_OK;
  drop_anchor(ex);
  if (ok) return;
  char *why = vm_take_message(vm->L);
  log_message(LOG_ERROR, "on_close functions not run: %s", why);
  free(why);
  set_closing(ex, false);
  release(ex);
}

static struct exchange *next_closing(struct vm *vm) {
  struct list *node = list_shift(&vm->closing);
  return node ? container_of(node, struct exchange, closing_link) : NULL;
}

void exchange_start_closers(struct vm *vm) {
  for (struct exchange *ex; (ex = next_closing(vm));) start_closers(ex);
}

void exchange_forget_closers(struct vm *vm) {
  for (struct exchange *ex; (ex = next_closing(vm));) {
    drop_anchor(ex);
    set_closing(ex, false);
    release(ex);
  }
}

static void on_gone(struct stream *s, enum close_reason reason) {
  struct exchange *ex = s->owner;
  ex->stream = NULL, ex->reason = reason;
  waitlist_wake_all(&ex->waiting);
  if (ex->task && reason != REASON_FINISHED) task_cancel(ex->task);
  if (ex->anchor != LUA_NOREF) {
    set_closing(ex, true);
    list_append(&ex->vm->closing, &ex->closing_link);
  }
  release(ex);
}

static const struct stream_ops stream_ops = {.on_body = on_body, .on_drain = on_drain, .on_gone = on_gone};

// A stream that goes on without Lua needs its state no longer.
static void let_go(struct exchange *ex) {
  if (!ex->stream || ex->task || ex->anchor != LUA_NOREF) return;
  ex->stream->ops = NULL;
  ex->stream = NULL;
}

bool exchange_shows_errors(const struct exchange *ex) {
  const struct stream *s = ex->stream;
  if (!ex->vm->settings->dev.on || !s || !s->request) return false;
  return s->carrier->peer->family == ADDRESS_UNIX ||
         (host_is_loopback(s->request->host) && host_is_loopback(forwarded_host(s->request)));
}

// In spate dev: what failed, as an `error` event before the stream is cut.
static void send_error(const struct exchange *ex, const struct task *t) {
  struct sse_fields f = SSE_NO_FIELDS;
  size_t len = 0;
  const char *message = ex->vm->expired_at;
  if (!ex->stream->is_sse || !exchange_shows_errors(ex)) return;
  if (!t->stopped)
    message = lua_type(t->co, -1) == LUA_TSTRING ? lua_tolstring(t->co, -1, &len) : "an error value";
  f.event = SPAN("error");
  f.data = (struct span){message, MIN(len ? len : strlen(message), (size_t)ERROR_EVENT_MAX)};
  stream_send(ex->stream, sse_encode(&f, sse_length(&f)));
}

// A task that was stopped has no reply of its own.
static void answer_ended(const struct exchange *ex, const struct task *t, int status) {
  static const struct field type = {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}};
  const struct vm *vm = ex->vm;
  char text[sizeof vm->expired_at + 64];
  if (!t->stopped || !exchange_shows_errors(ex)) {
    if (status == LUA_ERRMEM) service_refused(vm->service, LIMIT_LUA_MEMORY);
    error_reply(ex->stream, status == LUA_ERRMEM ? 503 : 500, "Internal Server Error");
    return;
  }
  snprintf(text, sizeof text, "%s: stopped after %g s without waiting (limits.burst)\n", vm->expired_at,
           vm->settings->limits.burst);
  stream_reply(ex->stream, 500, &type, 1, span_of(text));
}

// A task that ends leaves no request without an answer, and no stream without an end.
static void on_task_end(struct task *t, int status) {
  struct exchange *ex = t->exchange;
  if (!ex) return; // another task goes on with it
  ex->task = NULL;
  struct stream *s = ex->stream;
  if (s && s->state == STREAM_WAITING) answer_ended(ex, t, status);
  else if (s && status != LUA_OK) {
    if (status != LUA_YIELD) send_error(ex, t);
    stream_end(s, REASON_ERROR, true);
  } else if (s && !ex->detached) stream_end(s, REASON_FINISHED, false);
  if (ex->vm->is_retired) let_go(ex);
  release(ex);
}

static bool cut_slow(struct task *t) {
  struct exchange *ex = t->exchange;
  if (!ex || !ex->stream || ex->stream->state != STREAM_OPEN) return false;
  stream_fall_behind(ex->stream);
  return true;
}

static const struct task_ops answer_ops = {
    .on_end = on_task_end, .on_behind = cut_slow, .add_fields = add_request};

static void drop_exchange(struct vm *vm, struct held *h) {
  struct exchange *ex = container_of(h, struct exchange, held);
  (void)vm;
  let_go(ex); // nobody is left to be told
  release(ex);
}

void exchange_push(lua_State *L, struct exchange *ex) {
  struct held **box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, ex->vm->request_meta_ref);
  lua_setmetatable(L, -2);
  held_put(L, box, &ex->held, drop_exchange);
}

void exchange_hand_on(struct exchange *ex, struct task *t) {
  t->ops = &answer_ops, t->exchange = ex;
  if (ex->task) ex->task->exchange = NULL, task_move_ties(ex->task, t);
  ex->task = t;
}

int core_go_on(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  lua_remove(L, 1);
  struct task *t = task_follow(L, lua_gettop(L) - 1, NULL);
  t->must_start = true; // what it has to close is closed by itself
  exchange_hand_on(ex, t);
  return 0;
}

static bool has_too_many_pairs(const struct vm *vm, struct span query) {
  size_t pairs = 1;
  for (size_t i = 0; i < query.len; i++) pairs += query.bytes[i] == '&';
  return pairs > vm->settings->limits.query_pairs;
}

// The route's number for the library.
static int route_of(struct vm *vm, struct stream *s, struct route_match *match) {
  const struct request *r = s->request;
  char scratch[r->path.len + 1];
  if (has_too_many_pairs(vm, r->query)) {
    service_refused(vm->service, LIMIT_QUERY_PAIRS);
    return error_reply(s, 400, "too many query parameters"), ROUTE_ANSWERED;
  }
  if (r->path.len == 1 && r->path.bytes[0] == '*') return match->allowed = ~0u, ROUTE_OTHER_METHOD;
  int method = router_method(vm->router, r->method_name);
  if (method < 0) return ROUTE_NO_SUCH_METHOD;
  switch (router_match(vm->router, method, r->path, scratch, match)) {
  case ROUTE_FOUND: return match->route;
  case ROUTE_NO_METHOD: return ROUTE_OTHER_METHOD;
  case ROUTE_NO_PATH: return ROUTE_NOT_FOUND;
  default: return error_reply(s, 400, "malformed path"), ROUTE_ANSWERED;
  }
}

void exchange_begin(struct vm *vm, struct stream *s) {
  struct route_match match = {0};
  s->generation = vm->generation;
  int route = route_of(vm, s, &match);
  if (route == ROUTE_ANSWERED) return;
  s->request->route = vm_route(vm, route);
  struct exchange *ex = slab_take(&vm->slab, sizeof *ex);
  *ex =
      (struct exchange){.stream = s, .vm = vm, .anchor = LUA_NOREF, .route = route, .allowed = match.allowed};
  list_init(&ex->held.link);
  waitlist_init(&ex->waiting);
  list_init(&ex->files);
  list_init(&ex->closing_link);
  ex->task = task_start(vm, vm->answer, ex, &answer_ops);
  if (!ex->task) {
    slab_free(&vm->slab, ex, sizeof *ex);
    service_refused(vm->service, LIMIT_LUA_MEMORY);
    error_reply(s, 503, "out of memory");
    return;
  }
  ex->task->exchange = ex;
  ex->request = request_keep(s->request);
  vm->exchange_count++;
  s->ops = &stream_ops, s->owner = ex;
}

static void let_go_stream(struct stream *s, void *vm) {
  struct exchange *ex = s->ops == &stream_ops ? s->owner : NULL;
  if (!ex || ex->vm != vm) return;
  let_go(ex);
  release(ex);
}

void exchange_let_go_all(struct vm *vm) { connections_each_stream(vm->service, let_go_stream, vm); }

struct exchange *exchange_in(struct held *const *box) {
  return *box ? container_of(*box, struct exchange, held) : NULL;
}

// A look at the registry by name would cost more than most of what a request is asked.
static struct held **request_box(lua_State *L, int index) {
  struct held **box = lua_touserdata(L, index);
  if (!box || !lua_getmetatable(L, index)) return NULL;
  bool is_request = lua_topointer(L, -1) == vm_of(L)->request_meta;
  lua_pop(L, 1);
  return is_request ? box : NULL;
}

struct exchange *exchange_check(lua_State *L, int index) {
  struct held **box = request_box(L, index);
  if (!box)
    raise_error(L, "expected a request, got %s; write req:name(), with a colon", luaL_typename(L, index));
  return exchange_in(box);
}

struct exchange *exchange_open(lua_State *L, int index) {
  struct exchange *ex = exchange_check(L, index);
  if (ex && ex->stream) return ex;
  push_failure(L, "closed");
  return NULL;
}

int exchange_wait(lua_State *L, struct exchange *ex, const char *what, lua_KContext context,
                  lua_KFunction k) {
  return task_wait_in(L, task_check(L, what), &ex->waiting, INFINITY, context, k);
}

void request_box_meta(lua_State *L) {
  struct vm *vm = vm_of(L);
  luaL_newmetatable(L, "spate.request");
  vm->request_meta = lua_topointer(L, -1);
  lua_pushvalue(L, -1);
  vm->request_meta_ref = vm_ref(L);
  lua_pushcfunction(L, held_collect);
  lua_setfield(L, -2, "__gc");
}
