// SPDX-License-Identifier: MIT
// The sink of a fetch that Lua reads. What comes waits in a buffer of limits.http_window, and then with its
// sender; the functions that read it wait here, in their task. A response that is dropped closes its
// connection: by its end in Lua
// (<close>), by the end of the task that has asked, or by the collector.
#include "script/upstream.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/bindings.h"
#include "script/class.h"
#include "script/lua_fields.h"
#include "script/raise.h"
#include "script/vm.h"

static const char META[] = "spate.response";
enum { FIELDS_MAX_OUT = 100 };

static struct upstream *of(const struct fetch *f) { return container_of(f->sink, struct upstream, sink); }

static void wake(struct fetch *f) { waitlist_wake_all(&of(f)->waiting); }

static void on_body(struct fetch *f, struct span bytes) {
  struct upstream *r = of(f);
  buf_append_span(&r->body, bytes);
  if (r->body.len >= r->vm->settings->limits.http_window) fetch_pause(f);
  wake(f);
}

static const struct fetch_sink_ops sink_ops = {
    .on_head = wake, .on_body = on_body, .on_end = wake, .on_room = wake};

struct fetch *upstream_take(struct upstream *r, struct buf *body) {
  struct fetch *f = r->fetch;
  if (!f) return NULL;
  *body = r->body;
  r->body = (struct buf){0}, r->fetch = NULL;
  list_remove(&r->tie.link);
  waitlist_wake_all(&r->waiting);
  return f;
}

static void upstream_close(struct upstream *r) {
  struct buf body = {0};
  fetch_free(upstream_take(r, &body));
  buf_deinit(&body);
}

static void cut(struct tie *tie) { upstream_close(container_of(tie, struct upstream, tie)); }

static void leave(struct held *h) { upstream_close(container_of(h, struct upstream, held)); }

static void drop(struct vm *vm, struct held *h) {
  struct upstream *r = container_of(h, struct upstream, held);
  (void)vm;
  upstream_close(r);
  free(r);
}

struct upstream *upstream_check(lua_State *L, int index) {
  struct held **box = luaL_testudata(L, index, META);
  if (!box) raise_error(L, "expected a response, got %s", luaL_typename(L, index));
  if (!*box) raise_error(L, "the response has been collected");
  return container_of(*box, struct upstream, held);
}

static struct span text_at(lua_State *L, int table, const char *name) {
  struct span s = {0};
  lua_getfield(L, table, name); // the table keeps what is a string
  if (lua_type(L, -1) == LUA_TSTRING) s.bytes = lua_tolstring(L, -1, &s.len);
  lua_pop(L, 1);
  return s;
}

static double number_at(lua_State *L, int table, const char *name, double otherwise) {
  lua_getfield(L, table, name);
  double n = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  return n;
}

static bool flag_at(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  bool is_set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is_set;
}

static size_t read_fields_at(lua_State *L, int table, struct field *fields) {
  lua_getfield(L, table, "fields"); // the table keeps the list, and that its texts
  size_t n = read_fields_up_to(L, lua_gettop(L), fields, FIELDS_MAX_OUT);
  lua_pop(L, 1);
  return n;
}

void upstream_read_options(lua_State *L, int index, struct fetch_request *q) {
  q->connect = number_at(L, index, "connect", 0);
  q->idle = number_at(L, index, "idle", 0);
  q->total = number_at(L, index, "total", 0);
  q->is_unverified = flag_at(L, index, "is_unverified");
  q->wants_certificate = flag_at(L, index, "wants_certificate");
  q->ca = text_at(L, index, "ca").bytes;
  q->cert = text_at(L, index, "cert").bytes;
  q->key = text_at(L, index, "key").bytes;
  q->unix_path = text_at(L, index, "unix").bytes;
}

static struct fetch_request read_request(lua_State *L, int table, struct field *fields) {
  struct fetch_request q = {
      .method = text_at(L, table, "method"),
      .url = text_at(L, table, "url"),
      .fields = fields,
      .field_count = read_fields_at(L, table, fields),
      .body = text_at(L, table, "body"),
      .body_length = (int64_t)number_at(L, table, "length", -1),
      .user = text_at(L, table, "user"),
      .password = text_at(L, table, "password"),
      .redirects = (unsigned)number_at(L, table, "redirects", 0),
      .refuses_private = flag_at(L, table, "refuses_private"),
  };
  upstream_read_options(L, table, &q);
  q.body_kind = flag_at(L, table, "in_pieces") ? FETCH_BODY_PIECES
                : q.body.bytes                 ? FETCH_BODY_WHOLE
                                               : FETCH_BODY_NONE;
  return q;
}

static int push_busy(lua_State *L, const struct vm *vm) {
  return push_failure_code(
      L,
      lua_pushfstring(L, "more than %d requests to other servers at a time (limits.http_requests)",
                      (int)vm->settings->limits.http_requests),
      "busy");
}

int upstream_begin(lua_State *L, struct task *t, const struct fetch_request *request) {
  struct vm *vm = vm_of(L);
  struct held **box = held_push(L, META, 0);
  struct upstream *r = xmalloc(sizeof *r);
  *r = (struct upstream){.sink = {&sink_ops}, .vm = vm, .tie = {.cut = cut}};
  list_init(&r->tie.link);
  waitlist_init(&r->waiting);
  held_put(L, box, &r->held, drop);
  r->held.leave = leave;
  r->fetch = fetch_new(vm->service->fetcher, request, &r->sink);
  if (!r->fetch) return push_busy(L, vm);
  task_tie(t, &r->tie);
  return 1;
}

static int begin(lua_State *L) {
  struct field fields[FIELDS_MAX_OUT];
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct task *t = task_check(L, text_at(L, 1, "what").bytes);
  struct fetch_request request = read_request(L, 1, fields);
  return upstream_begin(L, t, &request);
}

int upstream_push_end(lua_State *L, const struct upstream *r) {
  const struct fetch *f = r->fetch;
  if (r->is_read || (f && !f->error)) return lua_pushnil(L), 1;
  if (!f) return push_failure_code(L, "the response is closed", "closed");
  return push_failure_code(L, f->message, fetch_error_name(f->error));
}

bool upstream_awaits_head(const struct upstream *r) { return r->fetch && r->fetch->state == FETCH_ASKED; }

int upstream_await(lua_State *L, struct upstream *r, const char *what, lua_KFunction k) {
  return task_wait_in(L, task_check(L, what), &r->waiting, INFINITY, 0, k);
}

static int head(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct upstream *r = upstream_check(L, 1);
  const struct fetch *f = r->fetch;
  if (upstream_awaits_head(r)) return upstream_await(L, r, "spate.http", head);
  if (!f || !f->has_head) return upstream_push_end(L, r);
  lua_pushinteger(L, f->status);
  return 1;
}

static int http_head(lua_State *L) { return head(L, LUA_OK, 0); }

static int http_awaits_head(lua_State *L) {
  lua_pushboolean(L, upstream_awaits_head(upstream_check(L, 1)));
  return 1;
}

static int http_fields(lua_State *L) {
  const struct fetch *f = upstream_check(L, 1)->fetch;
  size_t n = f ? f->field_count : 0;
  lua_createtable(L, (int)n * 2, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushlstring(L, f->fields[i].name.bytes, f->fields[i].name.len);
    lua_rawseti(L, -2, (lua_Integer)i * 2 + 1);
    lua_pushlstring(L, f->fields[i].value.bytes, f->fields[i].value.len);
    lua_rawseti(L, -2, (lua_Integer)i * 2 + 2);
  }
  return 1;
}

static int http_facts(lua_State *L) {
  const struct fetch *f = upstream_check(L, 1)->fetch;
  if (!f) return 0;
  lua_pushstring(L, f->version);
  push_span(L, buf_span(&f->certificate));
  return 2;
}

// The fetch of an answer that has been read to its end is let go of, a failed one's is kept for its error.
static int read_on(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct upstream *r = upstream_check(L, 1);
  struct fetch *f = r->fetch;
  if (r->body.len) {
    lua_pushlstring(L, r->body.bytes, r->body.len);
    buf_reset(&r->body, 0);
    if (f) fetch_resume(f);
    return 1;
  }
  if (f && f->state != FETCH_ENDED) return upstream_await(L, r, "reading the body", read_on);
  r->is_read |= f && !f->error;
  if (r->is_read) upstream_close(r);
  return upstream_push_end(L, r);
}

static int http_read(lua_State *L) { return read_on(L, LUA_OK, 0); }

static int sent(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct upstream *r = upstream_check(L, 1);
  bool goes_on = r->fetch && r->fetch->state != FETCH_ENDED;
  if (goes_on && r->fetch->upload.len >= r->vm->settings->limits.http_window)
    return upstream_await(L, r, "sending the body", sent);
  lua_pushboolean(L, goes_on);
  return 1;
}

static int http_send(lua_State *L) {
  struct upstream *r = upstream_check(L, 1);
  struct span bytes;
  bytes.bytes = luaL_checklstring(L, 2, &bytes.len);
  if (r->fetch) fetch_send(r->fetch, bytes);
  return sent(L, LUA_OK, 0);
}

static int http_send_end(lua_State *L) {
  struct upstream *r = upstream_check(L, 1);
  if (r->fetch) fetch_send_end(r->fetch);
  return 0;
}

static int http_send_no_more(lua_State *L) {
  struct upstream *r = upstream_check(L, 1);
  if (r->fetch) fetch_send_no_more(r->fetch);
  return 0;
}

static int http_close(lua_State *L) {
  upstream_close(upstream_check(L, 1));
  return 0;
}

void http_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"http_begin", begin},
                                       {"http_head", http_head},
                                       {"http_awaits_head", http_awaits_head},
                                       {"http_fields", http_fields},
                                       {"http_facts", http_facts},
                                       {"http_read", http_read},
                                       {"http_send", http_send},
                                       {"http_send_end", http_send_end},
                                       {"http_send_no_more", http_send_no_more},
                                       {"http_close", http_close},
                                       {NULL, NULL}};
  class_new(L, META, NULL, held_collect);
  luaL_setfuncs(L, functions, 0);
}
