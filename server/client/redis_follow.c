// SPDX-License-Identifier: MIT
// The channel's own position says where it is; here is only what was heard and does not fit yet. A read
// begins with the newest event that the channel has: where that is not there any more, the server has lost
// it or trimmed it. What is read is what the server had when it was asked, so that what has come since is
// admitted behind it, or is known.
#include "client/redis_follow.h"
#include <math.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/redis_page.h"

enum { HELD_MAX = 1024 };
static const double GAP_SECONDS = 0.02; // until what comes before an own event is read, as it was not heard
enum { LOOKS_MAX = 500 };
static const double LOOK_SECONDS = 3;    // between two looks: what was published last may have been lost
static const double LINGER_SECONDS = 10; // without subscribers

static double now_of(const struct redis_follow *f) { return f->follows->loop->now; }
static double clock_of(const struct redis_follow *f) { return clock_now(f->follows->clock); }

static struct span key_of(struct channel *const *c) { return (struct span){(const char *)c, sizeof *c}; }

static void fill(struct redis_follow *f);
static void look(struct redis_follow *f);

// Those whose event the channel has, or that have waited since then; each is out of the list when it is told.
static void release(struct redis_follow *f, struct list *waiting, double since) {
  struct list left, rest;
  struct position newest = channel_newest(f->channel);
  list_init(&left);
  list_init(&rest);
  list_splice(&left, waiting);
  for (struct list *node; (node = list_shift(&left));) {
    struct redis_waiting *w = container_of(node, struct redis_waiting, link);
    if (w->since <= since || !position_is_after(w->request->at, newest)) f->follows->on_ready(w);
    else list_append(&rest, node);
  }
  list_splice(waiting, &rest);
}

static void settle(struct redis_follow *f) {
  if (f->has_end && !position_is_after(f->end, channel_newest(f->channel)))
    channel_finish(f->channel, NULL, clock_of(f));
  if (!list_empty(&f->admitting)) release(f, &f->admitting, -INFINITY);
}

static void want(struct redis_follow *f, struct position at) {
  if (position_is_after(at, f->wanted)) f->wanted = at;
  fill(f);
}

// What directly follows within its epoch.
static void admit_next(struct redis_follow *f, struct event *e) {
  struct position at = event_position(e), before = {at.epoch, at.seq - 1};
  if (channel_admit(f->channel, e, before, clock_of(f)) == ADMIT_JUMP) want(f, at);
}

static void hold(struct redis_follow *f, struct event *e) {
  if (f->held_count == HELD_MAX) {
    f->wanted = event_position(e);
    event_unref(e);
    return;
  }
  if (f->held_count == f->held_cap) {
    f->held_cap = f->held_cap ? f->held_cap * 2 : 16;
    f->held = xrealloc(f->held, f->held_cap * sizeof *f->held);
  }
  f->held[f->held_count++] = (struct held){e, event_position(e)};
}

// Behind a read: those that do not follow now are read.
static void admit_held(struct redis_follow *f) {
  struct held *held = f->held;
  size_t count = f->held_count;
  f->held = NULL, f->held_count = f->held_cap = 0;
  for (size_t i = 0; i < count; i++) {
    admit_next(f, held[i].event);
    event_unref(held[i].event);
  }
  free(held);
}

static bool is_held_back(const struct redis_follow *f) { return !f->is_loaded || f->fill.entry; }

static void on_event(struct redis_follow *f, struct span bytes, struct position at) {
  struct event *e = page_decode(bytes, at, f->channel->name);
  if (is_held_back(f)) {
    hold(f, e);
    return;
  }
  admit_next(f, e);
  event_unref(e);
  settle(f);
}

// "E<id> <event>", or "F<id>".
static void on_message(struct redis_subscription *s, struct span name, struct span payload) {
  struct redis_follow *f = container_of(s, struct redis_follow, subscription);
  struct span rest = payload;
  struct position at;
  (void)name;
  if (!payload.len) return;
  rest.bytes++, rest.len--;
  struct span id = span_split(&rest, ' ');
  if (payload.bytes[0] == 'F') redis_follow_end(f, record_position(id, &at) ? at : (struct position){0});
  else if (payload.bytes[0] == 'E' && record_position(id, &at)) on_event(f, rest, at);
}

// What the channel had last is not there: it begins anew with the first.
static void admit_page(struct redis_follow *f, const redisReply *page) {
  struct position before = f->from;
  struct event *e;
  for (size_t i = 0; page_event(page, i, f->channel->name, &e); i++) {
    struct position at = event_position(e);
    if (i == 0 && !page_goes_on(f->from, at)) channel_break(f->channel, before = at);
    channel_admit(f->channel, e, before, clock_of(f)); // the first may be known
    event_unref(e);
    before = at;
  }
}

// Nothing is there from the channel's newest event on: that was lost, unless all is gone.
static void check_tail(struct redis_follow *f, const redisReply *page) {
  struct position tail;
  if (page_position(page, 0, &tail) && position_is_after(f->from, tail)) channel_break(f->channel, tail);
}

// Whether the server had more than the page; not where that has not brought the channel on, as the next would
// be the same.
static bool has_more(const struct redis_follow *f, const redisReply *page) {
  struct position tail, newest = channel_newest(f->channel);
  if (!page_position(page, 0, &tail) || !position_is_after(tail, newest)) return false;
  return !position_equals(newest, f->from);
}

// All that the server had when it was asked is admitted: who has waited since before waits for what is lost.
static void on_filled(struct redis_command *c, struct redis_answer *a) {
  struct redis_follow *f = container_of(c, struct redis_follow, fill);
  f->is_behind = a->code != REDIS_CODE_OK || a->reply->type != REDIS_REPLY_ARRAY;
  if (f->is_behind) return;
  if (page_count(a->reply)) admit_page(f, a->reply);
  else check_tail(f, a->reply);
  bool goes_on = has_more(f, a->reply);
  admit_held(f);
  if (goes_on || position_is_after(f->wanted, channel_newest(f->channel))) fill(f);
  else release(f, &f->admitting, f->filled_at);
  settle(f);
}

static void fill(struct redis_follow *f) {
  if (f->fill.entry || !f->is_loaded) return;
  f->from = channel_newest(f->channel);
  f->wanted = (struct position){0};
  f->filled_at = now_of(f);
  f->is_behind = !call_read(&f->follows->calls, &f->fill, f->channel, f->from);
}

static void on_gap(struct timer *t) {
  struct redis_follow *f = container_of(t, struct redis_follow, gap);
  if (!list_empty(&f->admitting)) fill(f);
}

static void load(struct redis_follow *f, struct position newest) {
  f->is_loaded = true;
  channel_loaded(f->channel, newest);
  admit_held(f);
  release(f, &f->loading, INFINITY);
}

static bool reply_number(const redisReply *r, size_t i, long long *n) {
  bool ok = i < (size_t)r->elements && r->element[i]->type == REDIS_REPLY_INTEGER;
  if (ok) *n = r->element[i]->integer;
  return ok;
}

static void on_looked(struct redis_command *c, struct redis_answer *a) {
  struct redis_follow *f = container_of(c, struct redis_follow, look);
  struct position tail = {0};
  long long has_ended = 0, elsewhere = 0;
  if (a->code == REDIS_CODE_NOSCRIPT && now_of(f) >= f->repaired_at + LOOK_SECONDS) {
    f->repaired_at = now_of(f); // where that is refused, another look will be due by itself
    call_load(&f->follows->calls, f->channel->node.name);
    if (!f->is_loaded) look(f);
  }
  if (a->code != REDIS_CODE_OK || a->reply->type != REDIS_REPLY_ARRAY) return;
  bool has_tail = page_position(a->reply, 0, &tail);
  reply_number(a->reply, 1, &has_ended);
  if (reply_number(a->reply, 2, &elsewhere)) atomic_store(&f->channel->elsewhere, (size_t)MAX(elsewhere, 0));
  if (!f->is_loaded) load(f, tail);
  else if (f->is_behind || (has_tail && !position_equals(tail, channel_newest(f->channel)))) fill(f);
  if (has_ended) redis_follow_end(f, tail);
  else settle(f);
}

static void on_renewed(struct redis_command *c, struct redis_answer *a) { (void)c, (void)a; }

// What this process has said of its members is said again before others take them for gone.
static void renew(struct redis_follow *f) {
  struct redis_calls *calls = &f->follows->calls;
  struct buf members = {0};
  if (f->renew.entry || now_of(f) < f->renewed_at + calls->lease / 3) return;
  f->renewed_at = now_of(f);
  if (channel_members(f->channel, &members)) call_renew(calls, &f->renew, f->channel, buf_span(&members));
  buf_deinit(&members);
}

static void look(struct redis_follow *f) {
  f->looked_at = now_of(f);
  list_remove(&f->link);
  list_append(&f->follows->in_turn, &f->link);
  if (!f->look.entry)
    call_look(&f->follows->calls, &f->look, f->channel, channel_subscribers_here(f->channel));
  renew(f);
}

// What was published while it was not heard is read.
static void on_live(struct redis_subscription *s) {
  struct redis_follow *f = container_of(s, struct redis_follow, subscription);
  if (f->is_loaded) fill(f);
  else look(f);
}

static void on_refused(struct redis_subscription *s, const char *message) {
  const struct redis_follow *f = container_of(s, struct redis_follow, subscription);
  log_message(LOG_ERROR, "channel %s: the store refuses that it is heard: %s", f->channel->name, message);
}

static struct redis_follow *follow_new(struct redis_follows *all, struct channel *c) {
  struct redis_follow *f = xcalloc(1, sizeof *f);
  struct buf name = {0};
  f->follows = all, f->channel = channel_ref(c), f->looked_at = all->loop->now;
  f->node.name = key_of(&f->channel);
  f->fill.on_reply = on_filled, f->look.on_reply = on_looked;
  f->renew.on_reply = on_renewed, f->gap.on_fire = on_gap, f->renewed_at = now_of(f);
  f->repaired_at = -LOOK_SECONDS;
  f->subscription =
      (struct redis_subscription){.on_message = on_message, .on_live = on_live, .on_refused = on_refused};
  list_init(&f->link);
  list_init(&f->loading);
  list_init(&f->admitting);
  record_key(&name, all->calls.prefix, c->node.name, REDIS_KEY_STREAM);
  bool has_room = redis_pair_subscribe(all->calls.pair, &f->subscription, REDIS_SHARD, buf_span(&name));
  buf_deinit(&name);
  if (has_room) {
    map_insert(&all->by_channel, &f->node);
    list_append(&all->in_turn, &f->link);
    return f;
  }
  channel_unref(c);
  free(f);
  return NULL;
}

static void follow_free(struct redis_follow *f) {
  redis_unsubscribe(&f->subscription);
  redis_leave(&f->fill);
  redis_leave(&f->look);
  redis_leave(&f->renew);
  atomic_store(&f->channel->elsewhere, 0);
  loop_disarm(f->follows->loop, &f->gap);
  map_remove(&f->follows->by_channel, &f->node);
  list_remove(&f->link);
  for (size_t i = 0; i < f->held_count; i++) event_unref(f->held[i].event);
  free(f->held);
  channel_unref(f->channel);
  free(f);
}

struct redis_follow *redis_follow_of(struct redis_follows *all, struct channel *c, bool is_wanted) {
  struct map_node *node = map_find(&all->by_channel, key_of(&c));
  struct redis_follow *f = node ? container_of(node, struct redis_follow, node) : NULL;
  if (!f && is_wanted) f = follow_new(all, c);
  if (f && is_wanted) f->used_at = now_of(f);
  return f;
}

void redis_follow_load(struct redis_follow *f, struct redis_waiting *w) {
  w->since = now_of(f);
  list_append(&f->loading, &w->link);
  if (f->is_loaded) release(f, &f->loading, INFINITY);
}

// What is heard in time need not be read.
void redis_follow_reach(struct redis_follow *f, struct redis_waiting *w) {
  w->since = now_of(f);
  list_append(&f->admitting, &w->link);
  release(f, &f->admitting, -INFINITY);
  if (list_empty(&f->admitting)) return;
  if (!f->subscription.is_live) fill(f);
  else if (!timer_is_armed(&f->gap)) loop_arm(f->follows->loop, &f->gap, now_of(f) + GAP_SECONDS);
}

void redis_follow_admit(struct redis_follow *f, const struct sse_fields *fields, uint64_t key,
                        struct position at) {
  struct position before = {at.epoch, at.seq - 1};
  char id[CHANNEL_ID_MAX];
  struct event *e = channel_event(fields, key, at, id);
  channel_admit(f->channel, e, before, clock_of(f));
  event_unref(e);
  settle(f);
}

void redis_follow_end(struct redis_follow *f, struct position at) {
  f->has_end = true, f->end = at;
  if (f->is_loaded && position_is_after(at, channel_newest(f->channel))) fill(f);
  else settle(f);
}

static bool is_idle(struct redis_follow *f) {
  return list_empty(&f->loading) && list_empty(&f->admitting) && now_of(f) > f->used_at + LINGER_SECONDS &&
         channel_unload(f->channel, LINGER_SECONDS, clock_of(f));
}

void redis_follows_tick(struct redis_follows *all) {
  struct list *node = all->in_turn.next;
  for (size_t n = MIN(all->by_channel.count, (size_t)LOOKS_MAX); n > 0; n--) {
    struct redis_follow *f = container_of(node, struct redis_follow, link);
    node = node->next;
    if (f->looked_at + LOOK_SECONDS > all->loop->now) return;
    if (is_idle(f)) follow_free(f);
    else look(f);
  }
}

void redis_follows_init(struct redis_follows *f, struct loop *l, const struct clock *clock,
                        void (*on_ready)(struct redis_waiting *w)) {
  f->loop = l, f->clock = clock, f->on_ready = on_ready;
  map_init(&f->by_channel, map_seed(f));
  list_init(&f->in_turn);
}

static void free_node(struct map_node *node, void *arg) {
  (void)arg;
  follow_free(container_of(node, struct redis_follow, node));
}

void redis_follows_deinit(struct redis_follows *f) {
  map_each(&f->by_channel, free_node, NULL);
  map_deinit(&f->by_channel);
}
