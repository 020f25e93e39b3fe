// SPDX-License-Identifier: MIT
// What is not read in time is bounded: above the mark of a stream's queue all of it is dropped, and the
// reader told that messages are lost, as it is where the connection was. Nothing here waits for a reader:
// others read the same connection.
#include "script/redis_subscriber.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "script/class.h"
#include "script/raise.h"
#include "script/redis_handle.h"
#include "script/task.h"
#include "script/vm.h"

static const char SUBSCRIBER[] = "spate.redis_subscriber";

struct heard {
  struct list link;
  bool is_reset;
  size_t channel_len, payload_len, name; // name: whose subscription heard it
  char bytes[];                          // channel, payload
};

struct subscription {
  struct redis_subscription subscription;
  struct redis_subscriber *subscriber;
  bool is_lost; // messages may have been, since it was last live, or before it first was
};

struct redis_subscriber {
  struct held held;
  struct redis_user user; // in the handle's list
  struct vm *vm;
  struct waitlist waiting;
  struct list queue;
  size_t count, bytes, live; // of the queue; subscriptions that are live
  char *refused;             // NULL: by nobody
  bool is_over;
  size_t names;
  struct subscription each[];
};

static struct redis_subscriber *subscriber_of(struct redis_subscription *s) {
  return container_of(s, struct subscription, subscription)->subscriber;
}

static void queue_clear(struct redis_subscriber *s) {
  for (struct list *node; (node = list_shift(&s->queue));) free(container_of(node, struct heard, link));
  s->count = s->bytes = 0;
}

static struct heard *queue_add(struct redis_subscriber *s, size_t len) {
  struct heard *h = xmalloc(sizeof *h + len);
  *h = (struct heard){0};
  list_init(&h->link);
  list_append(&s->queue, &h->link);
  s->count++, s->bytes += len;
  waitlist_wake_all(&s->waiting);
  return h;
}

// Two in a row say no more than one.
static void queue_reset(struct redis_subscriber *s) {
  if (s->count && container_of(s->queue.prev, struct heard, link)->is_reset) return;
  queue_add(s, 0)->is_reset = true;
}

static void on_message(struct redis_subscription *rs, struct span channel, struct span payload) {
  struct redis_subscriber *s = subscriber_of(rs);
  const struct settings *set = s->vm->settings;
  if (s->count >= set->limits.queue_events ||
      s->bytes + payload.len > MAX(set->limits.queue_high, payload.len)) {
    counter_add(&s->vm->service->counters.dropped_total, (int64_t)s->count);
    queue_clear(s);
    queue_reset(s);
  }
  struct heard *h = queue_add(s, channel.len + payload.len);
  h->channel_len = channel.len, h->payload_len = payload.len;
  h->name = (size_t)(container_of(rs, struct subscription, subscription) - s->each);
  memcpy(h->bytes, channel.bytes, channel.len);
  memcpy(h->bytes + channel.len, payload.bytes, payload.len);
}

static void on_live(struct redis_subscription *rs) {
  struct subscription *one = container_of(rs, struct subscription, subscription);
  struct redis_subscriber *s = one->subscriber;
  s->live++;
  if (one->is_lost) queue_reset(s);
  one->is_lost = false;
  waitlist_wake_all(&s->waiting);
}

static void on_lost(struct redis_subscription *rs) {
  subscriber_of(rs)->live--;
  container_of(rs, struct subscription, subscription)->is_lost = true;
}

static void on_refused(struct redis_subscription *rs, const char *message) {
  struct redis_subscriber *s = subscriber_of(rs);
  if (!s->refused) s->refused = xstrdup(message);
  waitlist_wake_all(&s->waiting);
}

static void subscriber_close(struct redis_subscriber *s) {
  s->is_over = true;
  list_remove(&s->user.link);
  for (size_t i = 0; i < s->names; i++) redis_unsubscribe(&s->each[i].subscription);
  waitlist_wake_all(&s->waiting);
}

static void close_user(struct redis_user *u) {
  subscriber_close(container_of(u, struct redis_subscriber, user));
}

static void leave(struct held *h) { subscriber_close(container_of(h, struct redis_subscriber, held)); }

static void drop(struct vm *vm, struct held *h) {
  struct redis_subscriber *s = container_of(h, struct redis_subscriber, held);
  (void)vm;
  subscriber_close(s);
  queue_clear(s);
  free(s->refused);
  free(s);
}

static struct redis_subscriber *push_subscriber(lua_State *L, size_t names) {
  struct held **box = held_push(L, SUBSCRIBER, 0);
  struct redis_subscriber *s = xcalloc(1, sizeof *s + names * sizeof s->each[0]);
  s->vm = vm_of(L), s->names = names, s->user.close = close_user;
  list_init(&s->user.link);
  list_init(&s->queue);
  waitlist_init(&s->waiting);
  for (size_t i = 0; i < names; i++)
    s->each[i] = (struct subscription){.subscription = {.on_message = on_message,
                                                        .on_live = on_live,
                                                        .on_lost = on_lost,
                                                        .on_refused = on_refused},
                                       .subscriber = s,
                                       .is_lost = true};
  held_put(L, box, &s->held, drop);
  s->held.leave = leave;
  return s;
}

static struct redis_subscriber *subscriber_at(lua_State *L, int index) {
  struct held *const *box = luaL_checkudata(L, index, SUBSCRIBER);
  return *box ? container_of(*box, struct redis_subscriber, held) : NULL;
}

// What subscribe has on its stack, with the subscriber on top.
enum { SUB_HANDLE = 1, SUB_WHAT, SUB_KIND, SUB_SECONDS, SUB_NAMES, SUB_SUBSCRIBER };

// Behind the seconds a subscriber goes on without confirmation.
static int confirmed(lua_State *L, int status, lua_KContext context) {
  struct redis_subscriber *s = subscriber_at(L, SUB_SUBSCRIBER);
  double deadline = lua_tonumber(L, SUB_SECONDS);
  (void)status, (void)context;
  lua_settop(L, SUB_SUBSCRIBER);
  if (!s || s->is_over || s->refused || s->live == s->names) return 1;
  if (vm_of(L)->loop->now < deadline)
    return task_wait_in(L, vm_of(L)->current, &s->waiting, deadline, 0, confirmed);
  return 1;
}

static bool begin(lua_State *L, struct redis_handle *h, struct redis_subscriber *s,
                  enum redis_channel_kind kind) {
  bool ok = true;
  for (size_t i = 0; i < s->names && ok; i++) {
    struct span name;
    lua_rawgeti(L, SUB_NAMES, (lua_Integer)i + 1);
    name.bytes = luaL_checklstring(L, -1, &name.len);
    struct redis_subscription *one = &s->each[i].subscription;
    ok = h->cluster ? redis_cluster_subscribe(h->cluster, one, kind, name)
                    : redis_subscribe(h->feed, one, kind, name);
    lua_pop(L, 1);
  }
  return ok;
}

int redis_subscriber_new(lua_State *L) {
  static const char *const kinds[] = {"channel", "pattern", "shard", NULL};
  struct redis_handle *h = redis_handle_check(L, SUB_HANDLE);
  const char *what = luaL_checkstring(L, SUB_WHAT);
  int kind = luaL_checkoption(L, SUB_KIND, NULL, kinds);
  luaL_checktype(L, SUB_NAMES, LUA_TTABLE);
  lua_settop(L, SUB_NAMES);
  if (!task_can_wait(L)) return lua_pushboolean(L, false), 1;
  struct task *t = vm_of(L)->current;
  lua_pushnumber(L, loop_time(t->vm->loop) + luaL_checknumber(L, SUB_SECONDS));
  lua_replace(L, SUB_SECONDS);
  if (!redis_handle_begin(h, t->vm->service->redis_home))
    return push_failure_code(L, lua_pushfstring(L, "%s: it has been closed", what), "closed");
  struct redis_subscriber *s = push_subscriber(L, lua_rawlen(L, SUB_NAMES));
  list_append(&h->listening, &s->user.link);
  if (!begin(L, h, s, (enum redis_channel_kind)kind)) {
    subscriber_close(s);
    return push_failure_code(L, lua_pushfstring(L, "%s: too many channels", what), "unavailable");
  }
  return confirmed(L, LUA_OK, 0);
}

// What was heard as values, on an empty stack. Making them may collect, and a finalizer may close the
// subscriber: it is taken out of the queue first.
static int push_heard(lua_State *L, struct redis_subscriber *s) {
  struct list *node = list_shift(&s->queue);
  struct heard *h = container_of(node, struct heard, link);
  s->count--, s->bytes -= h->channel_len + h->payload_len;
  if (h->is_reset) {
    free(h);
    lua_pushboolean(L, false);
    return 1;
  }
  struct buf *b = push_buf(L); // freed by the collector where a push fails
  b->bytes = (char *)h, b->cap = b->len = sizeof *h + h->channel_len + h->payload_len;
  lua_pushlstring(L, h->bytes + h->channel_len, h->payload_len);
  lua_pushlstring(L, h->bytes, h->channel_len);
  lua_pushinteger(L, (lua_Integer)h->name + 1);
  buf_deinit(b);
  return 3;
}

static int next_heard(lua_State *L, int status, lua_KContext context) {
  struct redis_subscriber *s = subscriber_at(L, 1);
  (void)status, (void)context;
  lua_settop(L, 1);
  if (s && s->count) return push_heard(L, s);
  if (!s || s->is_over) return 0;
  if (s->refused) return push_failure_code(L, lua_pushstring(L, s->refused), "refused");
  struct task *t = task_check(L, "redis:subscribe");
  return task_wait_in(L, t, &s->waiting, INFINITY, 0, next_heard);
}

static int subscriber_next(lua_State *L) { return next_heard(L, LUA_OK, 0); }

static int close_subscriber(lua_State *L) {
  struct redis_subscriber *s = subscriber_at(L, 1);
  if (s) subscriber_close(s);
  return 0;
}

void redis_subscriber_register(lua_State *L) {
  static const luaL_Reg methods[] = {{"next", subscriber_next}, {"close", close_subscriber}, {NULL, NULL}};
  class_new(L, SUBSCRIBER, methods, held_collect);
}
