// SPDX-License-Identifier: MIT
// A subscription holds its feed until a stream takes that over, or a task reads it to its end. What a
// channel's store is asked for by a task, to subscribe or to publish, is waited for here.
#include "script/lua_subscription.h"
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "event/event_text.h"
#include "script/channel_handle.h"
#include "script/class.h"
#include "script/exchange.h"
#include "script/held.h"
#include "script/lua_event.h"
#include "script/raise.h"
#include "script/task.h"
#include "script/vm.h"
#include "serve/feed.h"

static const char SUBSCRIPTION[] = "spate.subscription";
static const double STORE_SECONDS = 10; // after which an answer is not waited for any more
static const char ASKED[] = "spate.asked";

struct subscription {
  struct held held;
  struct feed *feed; // NULL once it is closed, or a stream's
  struct feed_reader reader;
  struct waitlist waiting; // for news of the feed
  struct tie tie;          // to the task that has waited last: one that is cancelled takes nothing
};

static void on_news(struct feed_reader *r) {
  waitlist_wake_all(&container_of(r, struct subscription, reader)->waiting);
}

// The feed leaves the subscription, whose readers find the end.
static struct feed *take_feed(struct subscription *s) {
  struct feed *f = s->feed;
  s->feed = NULL;
  return f;
}

static void on_reader_gone(struct tie *tie) {
  struct subscription *s = container_of(tie, struct subscription, tie);
  if (s->feed) feed_forgo_turn(s->feed);
}

static void drop_subscription(struct vm *vm, struct held *held) {
  struct subscription *s = container_of(held, struct subscription, held);
  (void)vm;
  list_remove(&s->tie.link);
  feed_free(take_feed(s));
  free(s);
}

static struct subscription *subscription_in(struct held *const *box) {
  return *box ? container_of(*box, struct subscription, held) : NULL;
}

// NULL where it is closed, or collected: other finalizers may still refer to it.
static struct feed *feed_in(struct held *const *box) { return *box ? subscription_in(box)->feed : NULL; }

static struct held **check_subscription(lua_State *L, int index) {
  return luaL_checkudata(L, index, SUBSCRIPTION);
}

// Takes the feed; never raises.
static struct subscription *put_feed(lua_State *L, struct held **box, struct feed *f) {
  struct subscription *s = xmalloc(sizeof *s);
  *s = (struct subscription){.reader = {on_news}, .feed = f, .tie = {.cut = on_reader_gone}};
  waitlist_init(&s->waiting);
  list_init(&s->tie.link);
  held_put(L, box, &s->held, drop_subscription);
  return s;
}

// A request is held by a userdata on the waiting task's stack: a task that is cancelled lets go of it by
// being collected, and an answer that comes afterwards finds an empty list and frees itself.
struct asked {
  struct held held;
  struct store_request *request;
};

static void drop_asked(struct vm *vm, struct held *held) {
  struct asked *a = container_of(held, struct asked, held);
  (void)vm;
  store_request_unref(a->request);
  free(a);
}

// Not by way of what holds the request: that may be collected on another thread once its state has left this
// one.
static void wake_asker(struct job *j) {
  struct store_request *r = container_of(j, struct store_request, job);
  for (struct list *node; (node = list_shift(&r->waiters));)
    task_wake(container_of(node, struct task, wait_link));
}

int store_wait(lua_State *L, int index, struct channel *c, enum store_what what,
               const struct sse_fields *fields, uint64_t key, lua_KFunction k) {
  struct vm *vm = vm_of(L);
  struct held **box = lua_touserdata(L, index);
  struct asked *a = xmalloc(sizeof *a);
  a->request = store_request_new(c, what, fields, key, vm->service->inbox, wake_asker);
  a->request->asked_at = vm->loop->now;
  held_put(L, box, &a->held, drop_asked);
  list_append(&a->request->waiters, &vm->current->wait_link);
  store_ask(a->request);
  return task_wait(L, vm->current, vm->loop->now + STORE_SECONDS, index, k);
}

const struct store_request *store_answered(lua_State *L, lua_KContext context) {
  struct held **box = lua_touserdata(L, (int)context);
  return container_of(*box, struct asked, held)->request;
}

bool store_is_unavailable(lua_State *L, lua_KContext context) {
  return vm_of(L)->current->timed_out || store_answered(L, context)->answer == STORE_UNAVAILABLE;
}

int store_push_unavailable(lua_State *L, lua_KContext context) {
  if (vm_of(L)->current->timed_out)
    return push_failure_code(L, "unavailable", "slow"); // another may be writing to it
  const struct store_request *r = store_answered(L, context);
  return r->why ? push_failure_code(L, "unavailable", r->why) : push_failure(L, "unavailable");
}

void store_push_asked(lua_State *L) { held_push(L, ASKED, 0); }

// Arguments as channel_subscription.
static int subscribe(lua_State *L, struct channel *c) {
  struct span after = {0};
  if (!lua_isnoneornil(L, 2)) after.bytes = luaL_checklstring(L, 2, &after.len);
  long last = (long)luaL_checkinteger(L, 3);
  size_t queue = (size_t)luaL_optinteger(L, 4, 0);
  struct vm *vm = vm_of(L);
  struct held **box = held_push(L, SUBSCRIPTION, 0);
  struct feed *f = feed_new(vm->service, c, after, queue ? REPLAY_HELD : last);
  struct subscription *s = put_feed(L, box, f);
  list_append(&vm->feeds, &s->feed->held);
  if (queue) feed_set_queue(s->feed, queue), s->feed->on_full = ON_FULL_DISCONNECT;
  return 1;
}

static int subscribe_loaded(lua_State *L, int status, lua_KContext context) {
  (void)status;
  if (store_is_unavailable(L, context)) return store_push_unavailable(L, context);
  return subscribe(L, channel_check(L));
}

int channel_subscription(lua_State *L) {
  struct channel *c = channel_check(L);
  if (!vm_of(L)->is_attached)
    return raise_error(
        L, "channel:subscribe: nothing can subscribe while the script is loaded; do it in a handler");
  if (channel_is_ready(c, vm_of(L)->loop->now)) return subscribe(L, c);
  lua_settop(L, 4);
  task_check(L, "channel:subscribe");
  store_push_asked(L);
  return store_wait(L, 5, c, STORE_OPEN, NULL, 0, subscribe_loaded);
}

// Has the task wait for news of the feed.
static int wait_for_news(lua_State *L, struct subscription *s, struct task *t, lua_KFunction k) {
  feed_await(s->feed, &s->reader);
  list_remove(&s->tie.link);
  task_tie(t, &s->tie);
  return task_wait_in(L, t, &s->waiting, INFINITY, 0, k);
}

int channel_let_go(lua_State *L) {
  const struct channel *c = channel_check(L);
  struct vm *vm = vm_of(L);
  if (!vm_has_no_requests(vm)) return 0;
  list_each (node, &vm->feeds) {
    struct subscriber *s = &container_of(node, struct feed, held)->subscriber;
    if (s->outlet && s->outlet->channel == c) channel_unsubscribe(s);
  }
  return 0;
}

static int raise_incomplete(lua_State *L, const struct feed *f) {
  if (f->state == FEED_CUT_OFF)
    return raise_error(L, "channel:subscribe: the past cannot be read: its store is unavailable");
  if (f->state == FEED_BROKEN)
    return raise_error(L, "channel:subscribe: its store has lost what follows: subscribe again, behind the "
                          "id of the last event");
  return raise_slow(L,
                    "channel:subscribe: fell behind: more than %u events wait (queue), or %zu bytes "
                    "(limits.subscriber)",
                    f->queue_max, f->service->settings->limits.subscriber);
}

// subscription:next(): the next event as a table, waiting for it; nil at the end. Its upvalue is the
// subscription. Making the table may collect, and a finalizer may close the subscription or read it: the
// event's text is copied first, and the event taken last, so that an error loses none either.
static int next_event(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct held **box = lua_touserdata(L, lua_upvalueindex(1));
  struct feed *f;
  while ((f = feed_in(box)) && feed_peek(f)) {
    const struct event *e = feed_peek(f);
    lua_settop(L, 0);
    struct span text = event_text(e), trace = event_trace(e);
    text.bytes = lua_pushlstring(L, text.bytes, text.len);
    if (feed_in(box) != f || feed_peek(f) != e) continue;
    if (trace.len) trace.bytes = lua_pushlstring(L, trace.bytes, trace.len);
    event_push(L, text);
    event_add_trace(L, trace);
    if (feed_in(box) != f || feed_peek(f) != e) continue;
    event_unref(feed_take(f));
    return 1;
  }
  lua_settop(L, 0);
  if (!f) return 0;
  if (f->state >= FEED_LOST) return raise_incomplete(L, f);
  struct task *t = task_check(L, "subscription");
  if (f->state == FEED_FINISHED && !t->cancelled) return 0;
  return wait_for_news(L, subscription_in(box), t, next_event);
}

static int subscription_next(lua_State *L) { return next_event(L, LUA_OK, 0); }

// core.reader(subscription): its next() as a function.
static int reader(lua_State *L) {
  check_subscription(L, 1);
  lua_settop(L, 1);
  lua_pushcclosure(L, subscription_next, 1);
  return 1;
}

static int subscription_close(lua_State *L) {
  struct subscription *s = subscription_in(check_subscription(L, 1));
  if (s) feed_free(take_feed(s));
  return 0;
}

// core.is_over(subscription): true where nothing is to come.
static int is_over(lua_State *L) {
  struct feed *f = feed_in(check_subscription(L, 1));
  lua_pushboolean(L, !f || feed_is_over(f));
  return 1;
}

// core.kick_reason(subscription): why its events ended where spate.kick did that, else nil. The event's text
// is copied first, as making a table may collect, and a finalizer close the subscription.
static int kick_reason(lua_State *L) {
  const struct feed *f = feed_in(check_subscription(L, 1));
  if (!f || !f->is_kicked) return 0;
  struct span text = event_text(f->farewell);
  text.bytes = lua_pushlstring(L, text.bytes, text.len);
  event_push(L, text);
  lua_getfield(L, -1, "data");
  return 1;
}

// core.waiting(subscription): how many events it has already.
static int waiting(lua_State *L) {
  struct feed *f = feed_in(check_subscription(L, 1));
  lua_pushinteger(L, f ? (lua_Integer)f->count : 0);
  return 1;
}

// core.derive_channel(source, subscription): a channel for what is made of the source's events that the
// subscription has and will have.
static int derive_channel(lua_State *L) {
  struct channel *source = channel_check(L);
  struct held **box = channel_push_handle(L);
  const struct feed *f = feed_in(check_subscription(L, 2));
  if (!f) return raise_error(L, "the subscription is closed");
  const struct event *first = feed_peek(f);
  struct position dropped = first ? channel_before(source, first) : f->subscriber.last;
  channel_put(L, box, channel_derive(source, dropped, vm_of(L)->loop->now));
  return 1;
}

// core.take_over(subscription): another with its feed, for a reply that sends the past first. Who reads the
// first one is at its end.
static int take_over(lua_State *L) {
  struct held **box = check_subscription(L, 1), **own = held_push(L, SUBSCRIPTION, 0);
  struct feed *f = feed_in(box) ? take_feed(subscription_in(box)) : NULL;
  put_feed(L, own, f);
  if (f) feed_tell_reader(f);
  return 1;
}

// core.replay(subscription [, req]): sends what its store has to the request's open stream, as that takes it,
// until the subscription is live; without a request waits until it has an event, or is live. nil,
// "unavailable" where the store does not answer.
static int replay_on(lua_State *L, int status, lua_KContext context) {
  struct held **box = check_subscription(L, 1);
  bool has_request = !lua_isnoneornil(L, 2);
  struct feed *f;
  (void)status, (void)context;
  while ((f = feed_in(box)) && f->state == FEED_REPLAYING) {
    struct exchange *ex = has_request ? exchange_check(L, 2) : NULL;
    if (has_request && (!ex || !ex->stream || ex->stream->state != STREAM_OPEN)) return 0;
    if (ex && stream_is_full(ex->stream)) return exchange_wait(L, ex, "channel:subscribe", 0, replay_on);
    if (!ex && f->count) return 0;
    if (f->count) {
      stream_send(ex->stream, feed_take(f));
      continue;
    }
    return wait_for_news(L, subscription_in(box), task_check(L, "channel:subscribe"), replay_on);
  }
  return f && f->state == FEED_CUT_OFF ? push_failure(L, "unavailable") : 0;
}

static int replay(lua_State *L) { return replay_on(L, LUA_OK, 0); }

// core.is_replaying(subscription)
static int is_replaying(lua_State *L) {
  const struct feed *f = feed_in(check_subscription(L, 1));
  lua_pushboolean(L, f && f->state == FEED_REPLAYING);
  return 1;
}

// core.compresses(subscription): what its channel's options say of that; nil: nothing.
static int compresses(lua_State *L) {
  const struct feed *f = feed_in(check_subscription(L, 1));
  const struct channel *c = f ? feed_channel(f) : NULL;
  if (!c || c->options.compress == COMPRESS_UNSAID) return 0;
  lua_pushboolean(L, c->options.compress == COMPRESS_ON);
  return 1;
}

// core.attach(req, subscription): what comes goes to the request's open stream, without Lua, after its task
// has ended.
static int attach(lua_State *L) {
  struct exchange *ex = exchange_check(L, 1);
  struct held **box = check_subscription(L, 2);
  if (!feed_in(box) || !ex || !ex->stream || ex->stream->state != STREAM_OPEN) return 0;
  ex->detached = true;
  feed_attach(take_feed(subscription_in(box)), ex->stream);
  return 0;
}

void subscription_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", subscription_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"derive_channel", derive_channel},
                                       {"attach", attach},
                                       {"compresses", compresses},
                                       {"take_over", take_over},
                                       {"replay", replay},
                                       {"is_replaying", is_replaying},
                                       {"is_over", is_over},
                                       {"kick_reason", kick_reason},
                                       {"waiting", waiting},
                                       {"reader", reader},
                                       {NULL, NULL}};
  class_new(L, ASKED, NULL, held_collect);
  class_new(L, SUBSCRIPTION, methods, held_collect);
  luaL_setfuncs(L, functions, 0);
}
