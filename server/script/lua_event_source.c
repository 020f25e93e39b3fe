// SPDX-License-Identifier: MIT
// A script's hold of an event_source, until a stream takes that over or a task has read it to its end. Where
// it is dropped, the connection to the other server is closed.
#include "script/lua_event_source.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "client/event_source.h"
#include "event/event_text.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/held.h"
#include "script/lua_event.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/upstream.h"
#include "script/vm.h"

static const char EVENT_SOURCE[] = "spate.event_source";

struct holder {
  struct held held;
  struct event_source *event_source; // NULL once a stream has it
  struct event_source_reader reader;
  struct waitlist waiting; // for news of it
  struct tie tie;          // to the task that has made it
};

static void on_news(struct event_source_reader *r) {
  waitlist_wake_all(&container_of(r, struct holder, reader)->waiting);
}

static struct holder *holder_in(struct held *const *box) {
  return *box ? container_of(*box, struct holder, held) : NULL;
}

// NULL where a stream has it, or it has been collected: other finalizers may still refer to it.
static struct event_source *event_source_in(struct held *const *box) {
  return *box ? holder_in(box)->event_source : NULL;
}

static struct held **check_event_source(lua_State *L, int index) {
  return luaL_checkudata(L, index, EVENT_SOURCE);
}

// It leaves its holder, whose task it goes with no longer. Who waits there has come to the end.
static struct event_source *release_source(struct holder *h) {
  struct event_source *u = h->event_source;
  h->event_source = NULL;
  list_remove(&h->tie.link);
  if (u) event_source_await(u, NULL);
  waitlist_wake_all(&h->waiting);
  return u;
}

static void cut(struct tie *tie) {
  struct event_source *u = container_of(tie, struct holder, tie)->event_source;
  if (u) event_source_close(u);
}

static void leave_event_source(struct held *held) {
  event_source_free(release_source(container_of(held, struct holder, held)));
}

static void drop_event_source(struct vm *vm, struct held *held) {
  (void)vm;
  leave_event_source(held);
  free(container_of(held, struct holder, held));
}

// The fetch of the response at `index`, whose body is not read.
static struct fetch *take_fetch(lua_State *L, int index, struct buf *body) {
  struct fetch *f = upstream_take(upstream_check(L, index), body);
  if (!f) raise_error(L, "the response is closed, or its body is read");
  return f;
}

// core.event_source(res [, last id]): the events of a response, which it takes.
static int event_source(lua_State *L) {
  struct span last_id = {0}, body;
  if (!lua_isnoneornil(L, 2)) last_id.bytes = luaL_checklstring(L, 2, &last_id.len);
  struct held **box = held_push(L, EVENT_SOURCE, 0);
  struct buf *rest = push_buf(L);
  struct fetch *f = take_fetch(L, 1, rest);
  body = buf_span(rest);
  struct holder *h = xmalloc(sizeof *h);
  *h = (struct holder){.reader = {on_news},
                       .tie = {.cut = cut},
                       .event_source = event_source_new(vm_of(L)->service, f, body, last_id)};
  waitlist_init(&h->waiting);
  list_init(&h->tie.link);
  if (vm_of(L)->current) task_tie(vm_of(L)->current, &h->tie);
  held_put(L, box, &h->held, drop_event_source);
  h->held.leave = leave_event_source;
  buf_deinit(rest);
  lua_pop(L, 1);
  return 1;
}

static int push_outcome(lua_State *L, const struct event_source *u) {
  if (!u->error) {
    lua_pushboolean(L, true);
    return 1;
  }
  const char *code = fetch_error_name(u->error);
  return push_failure_code(L, u->message ? u->message : code, code);
}

// An event as a table. Making it may collect, and a finalizer may close the event_source or read it: the text
// is copied first and the event taken last, so that an error loses none either. False where another has come
// to be the first.
static bool push_next(lua_State *L, struct held *const *box, struct event_source *u) {
  const struct event *e = event_source_peek(u);
  lua_settop(L, 0);
  struct span text = event_text(e);
  text.bytes = lua_pushlstring(L, text.bytes, text.len);
  event_push(L, text);
  if (event_source_in(box) != u || event_source_peek(u) != e) return false;
  event_unref(event_source_take(u));
  return true;
}

// The iterator: the next event, waiting for it; nil at the end, with message and code where that is a
// failure. Its upvalue is the event_source.
static int next_event(lua_State *L, int status, lua_KContext context) {
  struct held **box = lua_touserdata(L, lua_upvalueindex(1));
  struct event_source *u;
  (void)status, (void)context;
  while ((u = event_source_in(box)) && event_source_peek(u))
    if (push_next(L, box, u)) return 1;
  lua_settop(L, 0);
  if (!u) return 0;
  struct task *t = task_check(L, "res:events");
  if (u->state == SOURCE_ENDED && !t->cancelled) {
    int pushed = push_outcome(L, u);
    return pushed > 1 ? pushed : 0;
  }
  event_source_await(u, &holder_in(box)->reader);
  return task_wait_in(L, t, &holder_in(box)->waiting, INFINITY, 0, next_event);
}

static int event_source_next(lua_State *L) { return next_event(L, LUA_OK, 0); }

// core.event_source_reader(event_source): that iterator.
static int reader(lua_State *L) {
  check_event_source(L, 1);
  lua_settop(L, 1);
  lua_pushcclosure(L, event_source_next, 1);
  return 1;
}

static struct stream *open_stream(lua_State *L, int index) {
  const struct exchange *ex = exchange_check(L, index);
  return ex && ex->stream && ex->stream->state == STREAM_OPEN ? ex->stream : NULL;
}

// core.event_source_attach(req, event_source): what comes goes to the request's open stream, without Lua,
// after its task has ended.
static int attach(lua_State *L) {
  struct stream *s = open_stream(L, 1);
  struct held **box = check_event_source(L, 2);
  struct event_source *u = event_source_in(box);
  if (!u || !s) return 0;
  exchange_check(L, 1)->detached = true;
  event_source_attach(release_source(holder_in(box)), s);
  return 0;
}

static int lent(lua_State *L, int status, lua_KContext context) {
  struct held **box = lua_touserdata(L, 2);
  struct event_source *u = event_source_in(box);
  (void)status, (void)context;
  if (!u) return 0;
  if (u->state == SOURCE_ENDED) return push_outcome(L, u);
  return task_wait_in(L, task_check(L, "http.events"), &holder_in(box)->waiting, INFINITY, 0, lent);
}

// core.event_source_lend(req, event_source): the same, but waits for the end of the answer, and the stream
// stays open: true, or nil, message and code.
static int lend(lua_State *L) {
  struct stream *s = open_stream(L, 1);
  struct held **box = check_event_source(L, 2);
  lua_settop(L, 2);
  struct event_source *u = event_source_in(box);
  task_check(L, "http.events");
  if (!u || !s) return 0;
  event_source_lend(u, s, &holder_in(box)->reader);
  return lent(L, LUA_OK, 0);
}

// core.event_source_cursor(event_source): the last event id, and the seconds to wait between connections, or
// nil.
static int cursor(lua_State *L) {
  const struct event_source *u = event_source_in(check_event_source(L, 1));
  if (!u) return 0;
  struct span id = buf_span(&u->parser.last_id);
  push_span(L, id);
  if (u->parser.retry_ms >= 0) lua_pushnumber(L, (lua_Number)u->parser.retry_ms / 1e3);
  else lua_pushnil(L);
  return 2;
}

static int close_event_source(lua_State *L) {
  struct event_source *u = event_source_in(check_event_source(L, 1));
  if (u) event_source_close(u);
  return 0;
}

void event_source_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", close_event_source}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"event_source", event_source},  {"event_source_reader", reader},
                                       {"event_source_attach", attach}, {"event_source_lend", lend},
                                       {"event_source_cursor", cursor}, {NULL, NULL}};
  class_new(L, EVENT_SOURCE, methods, held_collect);
  luaL_setfuncs(L, functions, 0);
}
