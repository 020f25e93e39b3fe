// SPDX-License-Identifier: MIT
// A channel's handle holds a reference to it. What users see around this is lua/spate/channel.lua.
#include "script/bindings.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include "event/broker.h"
#include "event/event_text.h"
#include "http/trace_context.h"
#include "script/channel_handle.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/held.h"
#include "script/lua_event.h"
#include "script/lua_subscription.h"
#include "script/membership.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"
#include "serve/stream_id.h"
#include "store/store.h"

static const double COLLECT_SECONDS = 1;

static double now_of(lua_State *L) { return vm_of(L)->loop->now; }

static struct span check_name(lua_State *L, int index, const char *what) {
  struct span s;
  if (lua_type(L, index) != LUA_TSTRING) raise_type(L, index, what, "a string");
  s.bytes = lua_tolstring(L, index, &s.len);
  if (!s.len || s.len > CHANNEL_NAME_MAX)
    raise_error(L, "%s: expected 1 to %d bytes, got %zu", what, CHANNEL_NAME_MAX, s.len);
  for (size_t i = 0; i < s.len; i++)
    if ((unsigned char)s.bytes[i] < 0x20 || s.bytes[i] == 0x7f)
      raise_error(L, "%s: must not contain control characters", what);
  return s;
}

static double number_field(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  double n = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return n;
}

static struct channel_options read_options(lua_State *L) {
  return (struct channel_options){.history = (size_t)number_field(L, "history"),
                                  .history_bytes = (size_t)number_field(L, "history_bytes"),
                                  .ttl = number_field(L, "ttl"),
                                  .queue = (size_t)number_field(L, "queue"),
                                  .on_full = (enum on_full)number_field(L, "on_full"),
                                  .in_memory = number_field(L, "in_memory") > 0,
                                  .compress = (enum channel_compress)number_field(L, "compress")};
}

// True where the collector and a sweep have made room. Where there was next to none, it is not tried again
// for a while: both take long, and all channels may be in use.
static bool channels_make_room(lua_State *L) {
  struct vm *vm = vm_of(L);
  double now = vm->loop->now;
  if (now < vm->collect_from) return false;
  lua_gc(L, LUA_GCCOLLECT);
  size_t gone = broker_sweep(vm->service->broker, now);
  if (gone <= vm->settings->limits.channels / 64) vm->collect_from = now + COLLECT_SECONDS;
  return gone > 0;
}

static struct channel *open_named(struct vm *vm, struct span name, const struct channel_options *o,
                                  bool *created) {
  return broker_open(vm->service->broker, name, o, vm->loop->now, clock_wall(vm->loop->clock), created);
}

// Pushes the first of the options given that the channel has otherwise, and what it has; once for a channel.
static int push_other(lua_State *L, struct channel *c, const struct channel_options *o) {
  const struct channel_options *kept = &c->options;
  const struct {
    const char *name;
    double given, kept;
  } rows[] = {{"history", (double)o->history, (double)kept->history},
              {"history_bytes", (double)o->history_bytes, (double)kept->history_bytes},
              {"ttl", o->ttl, kept->ttl},
              {"queue", (double)o->queue, (double)kept->queue},
              {"on_full", (double)o->on_full, (double)kept->on_full},
              {"compress", (double)o->compress, (double)kept->compress}};
  if (lua_getfield(L, 2, "given") != LUA_TTABLE) return 0;
  int given = lua_gettop(L);
  for (size_t i = 0; i < countof(rows); i++) {
    if (rows[i].given == rows[i].kept || lua_getfield(L, given, rows[i].name) == LUA_TNIL) continue;
    if (atomic_exchange(&c->is_told, true)) return 0;
    lua_pushstring(L, rows[i].name);
    lua_pushnumber(L, rows[i].kept);
    return 2;
  }
  return 0;
}

// core.channel(name, {history=, history_bytes=, ttl=, queue=, on_full= a number, given= the same as the user
// says it}): handle, created [, the name of an option that the channel has otherwise, its value]; nil,
// "full".
static int open_channel(lua_State *L) {
  struct vm *vm = vm_of(L);
  struct span name = check_name(L, 1, "channel name");
  struct channel_options o = read_options(L);
  struct held **box = channel_push_handle(L);
  bool created;
  int handle = lua_gettop(L);
  struct channel *c = open_named(vm, name, &o, &created);
  if (!c && channels_make_room(L)) c = open_named(vm, name, &o, &created);
  if (!c) {
    atomic_fetch_add(&vm->service->broker->full_total, 1);
    return push_failure(L, "full");
  }
  channel_put(L, box, c);
  int others = created ? 0 : push_other(L, c, &o);
  lua_pushvalue(L, handle);
  lua_pushboolean(L, created);
  lua_rotate(L, -2 - others, 2);
  return 2 + others;
}

// core.find_channel(name): handle or nil.
static int find_channel(lua_State *L) {
  struct span name = check_name(L, 1, "channel name");
  struct held **box = channel_push_handle(L);
  struct channel *c = broker_find(vm_of(L)->service->broker, name);
  if (c) channel_put(L, box, c);
  else lua_pushnil(L);
  return 1;
}

// Makes a string of the key at `index`: before the event is read, whose JSON the next one would overwrite.
static void make_key(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return;
  luaL_tolstring(L, index, NULL);
  lua_replace(L, index);
}

// What tells events apart that conflate: the key given, else the event's name.
static uint64_t key_of(lua_State *L, int index, const struct sse_fields *f) {
  struct span key = f->event.bytes ? f->event : SPAN("");
  if (!lua_isnoneornil(L, index)) key.bytes = lua_tolstring(L, index, &key.len);
  return hash_bytes(key, 0);
}

static int refuse_id(lua_State *L, const char *what) {
  return raise_error(L, "%s: 'id' is given by the server; put one of your own into data", what);
}

static bool is_too_large(lua_State *L, size_t len) {
  return len + CHANNEL_ID_MAX > vm_of(L)->settings->limits.event;
}

static struct position check_position(lua_State *L, int index) {
  struct position p;
  struct span id;
  id.bytes = luaL_checklstring(L, index, &id.len);
  luaL_argcheck(L, position_read(id, &p), index, "an event's id");
  return p;
}

static void count_published(lua_State *L, const struct channel *c, enum published what) {
  enum store_kind kind = c->store ? c->store->kind : STORE_MEMORY;
  counter_add(&vm_of(L)->service->counters.publishes_total[kind][what], 1);
}

static void count_answer(lua_State *L, const struct store_request *r, bool is_unavailable) {
  struct service *s = vm_of(L)->service;
  enum published what = PUBLISHED_UNAVAILABLE; // the answer of one that has timed out is the store's still
  if (!is_unavailable) what = r->answer == STORE_ENDED ? PUBLISHED_FINISHED : PUBLISHED_OK;
  if (r->what != STORE_APPEND) return;
  histogram_add_seconds(&s->counters.publishes, s->loop->now - r->asked_at);
  count_published(L, r->channel, what);
}

static int push_answer(lua_State *L, int status, lua_KContext context) {
  char id[CHANNEL_ID_MAX];
  (void)status;
  const struct store_request *r = store_answered(L, context);
  bool is_unavailable = store_is_unavailable(L, context);
  count_answer(L, r, is_unavailable);
  if (is_unavailable) return store_push_unavailable(L, context);
  if (r->answer == STORE_ENDED) return push_failure(L, "finished");
  if (r->what == STORE_APPEND) lua_pushlstring(L, id, position_write(r->at, id));
  else lua_pushboolean(L, 1);
  return 1;
}

// Of a channel with a store: waits until that has it. Where nothing can wait, it is only handed over: true.
// store_push_asked has pushed to `index`.
static int ask_store(lua_State *L, int index, struct channel *c, enum store_what what,
                     const struct sse_fields *f, uint64_t key) {
  if (task_can_wait(L)) return store_wait(L, index, c, what, f, key, push_answer);
  store_hand_over(c, what, f, key);
  lua_pushboolean(L, 1);
  return 1;
}

// The trace of the request that the task answers, as a traceparent whose parent that is.
static struct span present_trace(lua_State *L, char out[TRACE_LEN + 1]) {
  const struct task *t = vm_of(L)->current;
  const struct exchange *ex = t ? t->exchange : NULL;
  struct trace_context c;
  char id[STREAM_ID_MAX];
  if (!ex || !ex->stream || !trace_context_read(ex->stream->request, &c)) return (struct span){0};
  stream_id_text(ex->stream, id);
  snprintf(out, TRACE_LEN + 1, "00-" SPAN_FMT "-%.16s-" SPAN_FMT, SPAN_ARG(c.trace_id), id,
           SPAN_ARG(c.flags));
  return span_of(out);
}

// channel:publish(event [, key [, at]]): its id; nil and "full", "finished", "too large" or "unavailable".
// `at`: the id of the event from which it was derived.
static int publish(lua_State *L) {
  struct channel *c = channel_check(L);
  struct sse_fields f;
  char digits[NUMBER_MAX], id[CHANNEL_ID_MAX] = "", trace[TRACE_LEN + 1];
  bool is_derived = !lua_isnoneornil(L, 4);
  struct position at = {0};
  if (is_derived) at = check_position(L, 4);
  lua_settop(L, 3);
  make_key(L, 3);
  if (c->store) store_push_asked(L);
  size_t len = event_fields(L, 2, &f, digits);
  if (f.id.bytes && !is_derived) return refuse_id(L, "channel:publish");
  if (is_too_large(L, len)) {
    count_published(L, c, PUBLISHED_TOO_LARGE);
    return push_failure(L, "too large");
  }
  if (!f.trace.len) f.trace = present_trace(L, trace);
  uint64_t key = key_of(L, 3, &f);
  if (c->store) return ask_store(L, 4, c, STORE_APPEND, &f, key);
  switch (is_derived ? channel_publish_at(c, &f, key, at, now_of(L), id)
                     : channel_publish(c, &f, key, now_of(L), id)) {
  case PUBLISH_FULL: count_published(L, c, PUBLISHED_FULL); return push_failure(L, "full");
  case PUBLISH_FINISHED: count_published(L, c, PUBLISHED_FINISHED); return push_failure(L, "finished");
  default:
    count_published(L, c, PUBLISHED_OK);
    lua_pushstring(L, id);
    return 1;
  }
}

// channel:finish([event]): true; nil and "finished" where it was, "too large" or "unavailable".
static int finish(lua_State *L) {
  struct channel *c = channel_check(L);
  struct sse_fields f;
  char digits[NUMBER_MAX];
  bool has_event = !lua_isnoneornil(L, 2);
  lua_settop(L, 2);
  if (c->store) store_push_asked(L);
  size_t len = has_event ? event_fields(L, 2, &f, digits) : 0;
  if (has_event && f.id.bytes) return refuse_id(L, "channel:finish");
  if (is_too_large(L, len)) return push_failure(L, "too large");
  if (c->store) return ask_store(L, 3, c, STORE_FINISH, has_event ? &f : NULL, 0);
  if (channel_finish(c, has_event ? &f : NULL, now_of(L)) != PUBLISH_OK) return push_failure(L, "finished");
  lua_pushboolean(L, 1);
  return 1;
}

// References that outlive an error while they are made into tables.
struct events_box {
  struct event **events;
  size_t count;
};

static void drop_events(struct events_box *box) {
  for (size_t i = 0; i < box->count; i++) event_unref(box->events[i]);
  free(box->events);
  *box = (struct events_box){0};
}

static int collect_events(lua_State *L) {
  drop_events(lua_touserdata(L, 1));
  return 0;
}

// channel:history(n; -1: all): a list of events as tables, oldest first; nil where its store alone has them.
static int history(lua_State *L) {
  struct channel *c = channel_check(L);
  struct event **events;
  long n = (long)luaL_optinteger(L, 2, -1);
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  struct events_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (struct events_box){0};
  luaL_setmetatable(L, "spate.events");
  long count = channel_history(c, n, now_of(L), &events);
  if (count < 0) return 0;
  box->count = (size_t)count, box->events = events;
  for (size_t i = 0; i < box->count; i++) {
    event_push(L, event_text(box->events[i]));
    event_add_trace(L, event_trace(box->events[i]));
    lua_rawseti(L, -3, (lua_Integer)i + 1);
  }
  drop_events(box);
  lua_pop(L, 1);
  return 1;
}

// Whether a channel's store has to be asked for what is so in all processes, and can be.
static bool is_shared(lua_State *L, const struct channel *c) {
  return c->store && c->store->ops->is_shared && task_can_wait(L);
}

static int push_count(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  lua_pushinteger(L, (lua_Integer)channel_subscribers(channel_check(L)));
  return 1;
}

static int subscriber_count(lua_State *L) {
  struct channel *c = channel_check(L);
  if (!is_shared(L, c) || !channel_is_loading(c)) return push_count(L, LUA_OK, 0);
  lua_settop(L, 1);
  store_push_asked(L);
  return store_wait(L, 2, c, STORE_OPEN, NULL, 0, push_count);
}

// channel:newest(): the id of its newest event.
static int newest_id(lua_State *L) {
  char id[CHANNEL_ID_MAX];
  lua_pushlstring(L, id, position_write(channel_newest(channel_check(L)), id));
  return 1;
}

// channel:fail(): what filled it has failed: subscribers are cut, and nothing follows.
static int fail(lua_State *L) {
  struct channel *c = channel_check(L);
  channel_break(c, channel_newest(c));
  channel_finish(c, NULL, now_of(L));
  return 0;
}

// channel:skip(id): nothing is derived of the source's event of that id.
static int skip(lua_State *L) {
  channel_skip(channel_check(L), check_position(L, 2));
  return 0;
}

// channel:join(id, event, key, meta as JSON, event of its end, key of that): the membership. The event is
// published where the member is new, the other where it was the last of its id.
static int join(lua_State *L) {
  struct channel *c = channel_check(L);
  struct span id = check_name(L, 2, "channel:join"), meta;
  struct sse_fields f, leave;
  char digits[NUMBER_MAX];
  lua_settop(L, 7);
  meta.bytes = luaL_checklstring(L, 5, &meta.len);
  make_key(L, 4), make_key(L, 7);
  struct held **box = membership_push(L);
  event_fields(L, 6, &leave, digits);
  leave.data.bytes = lua_pushlstring(L, leave.data.bytes, leave.data.len); // what it lies in is the other's
  if (is_too_large(L, event_fields(L, 3, &f, digits)))
    return raise_error(L, "channel:join: the member is too large");
  uint64_t key = key_of(L, 4, &f);
  if (c->store) store_join(c, id, meta, &f, key);
  else channel_join(c, id, meta, &f, key, now_of(L));
  membership_put(L, box, c, id, &leave, key_of(L, 7, &leave));
  lua_pushvalue(L, 8);
  return 1;
}

static int is_finished(lua_State *L) {
  lua_pushboolean(L, channel_is_finished(channel_check(L)));
  return 1;
}

// channel:lonely(): seconds since the last subscriber went; nil where there is one.
static int lonely(lua_State *L) {
  double seconds = channel_lonely(channel_check(L), now_of(L));
  if (seconds < 0) lua_pushnil(L);
  else lua_pushnumber(L, seconds);
  return 1;
}

// Pushes a list of NUL-terminated texts, one behind the other.
static void push_texts(lua_State *L, struct span texts) {
  lua_newtable(L);
  for (lua_Integer i = 1; texts.len; i++) {
    struct span text = span_split(&texts, '\0');
    lua_pushlstring(L, text.bytes, text.len);
    lua_rawseti(L, -2, i);
  }
}

static int push_members(lua_State *L, int status, lua_KContext context) {
  const struct store_request *r = store_answered(L, context);
  (void)status;
  if (r->answer != STORE_OK) return push_failure(L, "unavailable");
  push_texts(L, buf_span(&r->members));
  return 1;
}

// channel:members(): a flat list of ids and metas as JSON; nil, "unavailable".
static int members(lua_State *L) {
  struct channel *c = channel_check(L);
  lua_settop(L, 1);
  if (is_shared(L, c)) {
    store_push_asked(L);
    return store_wait(L, 2, c, STORE_MEMBERS, NULL, 0, push_members);
  }
  struct buf *text = push_buf(L);
  channel_members(c, text);
  push_texts(L, buf_span(text));
  buf_deinit(text);
  return 1;
}

// core.remove_channel(handle): ends it; out of the broker and its store, whatever it holds.
static int remove_channel(lua_State *L) {
  channel_remove(L);
  return 0;
}

// core.forget_channel(handle): out of the broker; what its store has of it stays.
static int forget_channel(lua_State *L) {
  broker_remove(vm_of(L)->service->broker, channel_check(L));
  return 0;
}

void channel_open(lua_State *L) {
  static const luaL_Reg channel_methods[] = {{"publish", publish},
                                             {"finish", finish},
                                             {"fail", fail},
                                             {"subscribe", channel_subscription},
                                             {"history", history},
                                             {"newest", newest_id},
                                             {"count", subscriber_count},
                                             {"skip", skip},
                                             {"join", join},
                                             {"lonely", lonely},
                                             {"let_go", channel_let_go},
                                             {"is_finished", is_finished},
                                             {"members", members},
                                             {NULL, NULL}};
  static const luaL_Reg functions[] = {{"channel", open_channel},
                                       {"find_channel", find_channel},
                                       {"remove_channel", remove_channel},
                                       {"forget_channel", forget_channel},
                                       {NULL, NULL}};
  class_new(L, CHANNEL_META, channel_methods, held_collect);
  class_new(L, "spate.events", NULL, collect_events);
  luaL_setfuncs(L, functions, 0);
  membership_open(L);
  subscription_open(L);
}
