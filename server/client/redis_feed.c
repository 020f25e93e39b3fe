// SPDX-License-Identifier: MIT
// Answers come in the order of asking, with messages between them: what was asked is a queue of operations,
// each of which has one answer. A topic is a name that somebody listens to, or whose last operation has not
// been answered.
#include "client/redis_feed.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

const struct redis_feed_options redis_feed_usual = {.times = {.connect = 5, .silence = 5, .ping = 5},
                                                    .channels_max = 100 * 1000};

enum { KINDS = REDIS_SHARD + 1 };

struct redis_topic {
  struct map_node node;
  struct list link; // of the feed's
  struct redis_feed *feed;
  struct list subscriptions; // but for those that a walk has not come to
  size_t listeners;          // all of them
  unsigned holds;            // operations that are not answered, and walks
  enum redis_channel_kind kind;
  bool is_live; // what was asked last was to subscribe, and has been confirmed
  char name[];
};

enum op_what { OP_SUBSCRIBE, OP_UNSUBSCRIBE, OP_PING, OP_ASK };

struct op {
  struct list link;
  enum op_what what;
  struct redis_topic *topic; // of the first two
  void (*on_answer)(struct redis_feed *f, const redisReply *reply, void *owner);
  void *owner;
};

struct redis_feed {
  struct redis_link link;
  struct redis_feed_options options;
  struct map maps[KINDS];
  struct list topics, ops;
  size_t topic_count;
  struct timer joined; // somebody has joined what is live already
  void (*on_state)(struct redis_feed *f, bool is_ready, void *owner);
  void *owner;
  struct redis_doomed doomed;
};

static const char *const words[KINDS][2] = {[REDIS_CHANNEL] = {"SUBSCRIBE", "UNSUBSCRIBE"},
                                            [REDIS_PATTERN] = {"PSUBSCRIBE", "PUNSUBSCRIBE"},
                                            [REDIS_SHARD] = {"SSUBSCRIBE", "SUNSUBSCRIBE"}};
static const char *const messages[KINDS] = {
    [REDIS_CHANNEL] = "message", [REDIS_PATTERN] = "pmessage", [REDIS_SHARD] = "smessage"};

static struct redis_feed *feed_of(struct redis_link *l) { return container_of(l, struct redis_feed, link); }

static void topic_settle(struct redis_topic *t) {
  if (t->holds || t->listeners) return;
  map_remove(&t->feed->maps[t->kind], &t->node);
  list_remove(&t->link);
  t->feed->topic_count--;
  free(t);
}

static void topic_release(struct redis_topic *t) {
  t->holds--;
  topic_settle(t);
}

static struct op *op_add(struct redis_feed *f, enum op_what what, struct redis_topic *t) {
  struct op *o = xcalloc(1, sizeof *o);
  o->what = what, o->topic = t;
  if (t) t->holds++;
  list_append(&f->ops, &o->link);
  return o;
}

static void op_end(struct op *o) {
  list_remove(&o->link);
  if (o->topic) topic_release(o->topic);
  free(o);
}

static void feed_send(struct redis_feed *f, int argc, const char *const *argv, const size_t *lens) {
  struct buf b = {0};
  redis_format(&b, argc, argv, lens);
  redis_link_send(&f->link, buf_span(&b), 1);
  buf_deinit(&b);
}

static void topic_ask(struct redis_topic *t, enum op_what what) {
  const char *word = words[t->kind][what == OP_UNSUBSCRIBE];
  const char *const argv[] = {word, t->node.name.bytes};
  const size_t lens[] = {strlen(word), t->node.name.len};
  if (t->feed->link.state != LINK_READY) return;
  op_add(t->feed, what, t);
  feed_send(t->feed, 2, argv, lens);
}

typedef void subscription_fn(struct redis_subscription *s, void *arg);

// Calls fn for each subscription of a topic. Any of them may end meanwhile; those that begin are left out.
static void topic_each(struct redis_topic *t, subscription_fn *fn, void *arg) {
  struct list rest;
  list_init(&rest);
  list_splice(&rest, &t->subscriptions);
  t->holds++;
  for (struct list *node; (node = list_shift(&rest));) {
    list_append(&t->subscriptions, node);
    fn(container_of(node, struct redis_subscription, link), arg);
  }
  topic_release(t);
}

static void tell_live(struct redis_subscription *s, void *arg) {
  (void)arg;
  if (s->is_live) return;
  s->is_live = true;
  if (s->on_live) s->on_live(s);
}

static void tell_lost(struct redis_subscription *s, void *arg) {
  (void)arg;
  if (!s->is_live) return;
  s->is_live = false;
  if (s->on_lost) s->on_lost(s);
}

static void tell_refused(struct redis_subscription *s, void *message) {
  if (s->on_refused) s->on_refused(s, message);
}

struct heard {
  struct span channel, payload;
};

static void tell_message(struct redis_subscription *s, void *arg) {
  const struct heard *h = arg;
  if (s->is_live) s->on_message(s, h->channel, h->payload);
}

// Calls fn for each topic, which may end topics and make others.
static void each_topic(struct redis_feed *f, void (*fn)(struct redis_topic *t)) {
  struct list rest;
  list_init(&rest);
  list_splice(&rest, &f->topics);
  for (struct list *node; (node = list_shift(&rest));) {
    list_append(&f->topics, node);
    fn(container_of(node, struct redis_topic, link));
  }
}

static void topic_join(struct redis_topic *t) {
  if (t->is_live) topic_each(t, tell_live, NULL);
}

static void on_joined(struct timer *timer) {
  each_topic(container_of(timer, struct redis_feed, joined), topic_join);
}

static void topic_begin(struct redis_topic *t) {
  if (t->listeners && !t->holds) topic_ask(t, OP_SUBSCRIBE);
}

static void on_ready(struct redis_link *l) {
  struct redis_feed *f = feed_of(l);
  if (f->on_state) f->on_state(f, true, f->owner);
  each_topic(f, topic_begin);
}

static void topic_lose(struct redis_topic *t) {
  t->is_live = false;
  topic_each(t, tell_lost, NULL);
}

static void on_lost(struct redis_link *l) {
  struct redis_feed *f = feed_of(l);
  bool was_ready = l->was_ready;
  while (!list_empty(&f->ops)) {
    struct op *o = container_of(f->ops.next, struct op, link);
    void (*on_answer)(struct redis_feed *, const redisReply *, void *) = o->on_answer;
    void *owner = o->owner;
    op_end(o);
    if (on_answer) on_answer(f, NULL, owner);
  }
  each_topic(f, topic_lose);
  if (was_ready && f->on_state) f->on_state(f, false, f->owner);
}

static void on_idle(struct redis_link *l) {
  op_add(feed_of(l), OP_PING, NULL);
  feed_send(feed_of(l), 1, (const char *const[]){"PING"}, (const size_t[]){4});
}

static void on_room(struct redis_link *l) { (void)l; }

static struct span word_at(const redisReply *reply, size_t i) {
  return reply->type == REDIS_REPLY_ARRAY && i < (size_t)reply->elements ? redis_text(reply->element[i])
                                                                         : (struct span){0};
}

static struct redis_topic *find_topic(struct redis_feed *f, enum redis_channel_kind kind, struct span name) {
  struct map_node *node = name.bytes ? map_find(&f->maps[kind], name) : NULL;
  return node ? container_of(node, struct redis_topic, node) : NULL;
}

// Whether it is a message; hands it on then.
static bool take_message(struct redis_feed *f, const redisReply *reply) {
  struct span word = word_at(reply, 0);
  for (int kind = 0; kind < KINDS; kind++) {
    if (!span_equal(word, span_of(messages[kind]))) continue;
    size_t at = kind == REDIS_PATTERN ? 2 : 1;
    struct heard h = {.channel = word_at(reply, at), .payload = word_at(reply, at + 1)};
    struct redis_topic *t = find_topic(f, (enum redis_channel_kind)kind, word_at(reply, 1));
    if (t && h.channel.bytes && h.payload.bytes) topic_each(t, tell_message, &h);
    return true;
  }
  return false;
}

// A server that gives the slot of a channel away ends subscriptions unasked; whoever listens asks elsewhere.
static bool take_unasked(struct redis_feed *f, const redisReply *reply) {
  if (!span_equal(word_at(reply, 0), SPAN("sunsubscribe"))) return false;
  struct redis_topic *t = find_topic(f, REDIS_SHARD, word_at(reply, 1));
  if (!t || t->holds) return false;
  t->is_live = false;
  topic_each(t, tell_lost, NULL);
  t = find_topic(f, REDIS_SHARD, word_at(reply, 1));
  if (t && !t->holds) topic_ask(t, OP_SUBSCRIBE);
  return true;
}

static bool is_confirmation(const struct op *o, const redisReply *reply) {
  const char *word = words[o->topic->kind][o->what == OP_UNSUBSCRIBE];
  return span_equal_nocase(word_at(reply, 0), span_of(word)) &&
         span_equal(word_at(reply, 1), o->topic->node.name);
}

// The answer to an operation on a topic. False where it is none.
static bool take_confirmation(const struct op *o, const redisReply *reply) {
  struct redis_topic *t = o->topic;
  bool is_last = t->holds == 1; // of those that were asked, beside the caller's hold
  if (reply->type == REDIS_REPLY_ERROR) {
    if (o->what == OP_SUBSCRIBE && is_last) topic_each(t, tell_refused, reply->str);
    return true;
  }
  if (!is_confirmation(o, reply)) return false;
  t->is_live = o->what == OP_SUBSCRIBE && is_last;
  if (t->is_live) topic_each(t, tell_live, NULL);
  return true;
}

static bool take_pong(const redisReply *reply) {
  return reply->type == REDIS_REPLY_STATUS || span_equal(word_at(reply, 0), SPAN("pong"));
}

static bool take_answer(struct redis_feed *f, struct op *o, const redisReply *reply) {
  bool ok = true;
  if (o->what == OP_ASK) o->on_answer(f, reply, o->owner);
  else if (o->what == OP_PING) ok = take_pong(reply);
  else ok = take_confirmation(o, reply);
  return ok;
}

static bool on_reply(struct redis_link *l, redisReply **reply) {
  struct redis_feed *f = feed_of(l);
  if (take_message(f, *reply) || take_unasked(f, *reply)) return false;
  if (list_empty(&f->ops)) return true; // which the link was not asked for
  struct op *o = container_of(f->ops.next, struct op, link);
  list_remove(&o->link);
  if (!take_answer(f, o, *reply)) redis_link_drop(l, "an answer to something else");
  op_end(o);
  return true;
}

static const struct redis_link_ops link_ops = {
    .on_ready = on_ready, .on_reply = on_reply, .on_room = on_room, .on_idle = on_idle, .on_lost = on_lost};

struct redis_feed *redis_feed_new(struct redis_home *home, const struct redis_address *address,
                                  const struct redis_feed_options *options) {
  struct redis_feed *f = xcalloc(1, sizeof *f);
  f->options = *options, f->joined.on_fire = on_joined;
  list_init(&f->topics);
  list_init(&f->ops);
  for (int i = 0; i < KINDS; i++) map_init(&f->maps[i], map_seed(f));
  redis_link_init(&f->link, home, &link_ops, address, &options->times);
  return f;
}

static void free_later(struct redis_doomed *d) {
  struct redis_feed *f = container_of(d, struct redis_feed, doomed);
  for (int i = 0; i < KINDS; i++) map_deinit(&f->maps[i]);
  free(f);
}

void redis_feed_free(struct redis_feed *f) {
  loop_disarm(f->link.home->loop, &f->joined);
  while (!list_empty(&f->ops)) op_end(container_of(f->ops.next, struct op, link));
  redis_link_deinit(&f->link);
  f->on_state = NULL;
  f->doomed.free = free_later;
  redis_home_free_later(f->link.home, &f->doomed);
}

void redis_feed_on_state(struct redis_feed *f,
                         void (*on_state)(struct redis_feed *f, bool is_ready, void *owner), void *owner) {
  f->on_state = on_state, f->owner = owner;
}

void redis_feed_set_locator(struct redis_feed *f, struct redis_locator *locator) {
  f->link.locator = locator;
}

void redis_feed_move(struct redis_feed *f, const char *host, unsigned port) {
  redis_link_move(&f->link, host, port);
}

void redis_feed_open(struct redis_feed *f) { redis_link_open(&f->link); }

void redis_feed_reset(struct redis_feed *f, const char *why) { redis_link_drop(&f->link, why); }

static struct redis_topic *topic_new(struct redis_feed *f, enum redis_channel_kind kind, struct span name) {
  struct redis_topic *t = xcalloc(1, sizeof *t + name.len);
  memcpy(t->name, name.bytes, name.len);
  t->node.name = (struct span){t->name, name.len};
  t->feed = f, t->kind = kind;
  list_init(&t->link);
  list_init(&t->subscriptions);
  list_append(&f->topics, &t->link);
  map_insert(&f->maps[kind], &t->node);
  f->topic_count++;
  return t;
}

bool redis_subscribe(struct redis_feed *f, struct redis_subscription *s, enum redis_channel_kind kind,
                     struct span name) {
  struct redis_topic *t = find_topic(f, kind, name);
  if (!t && f->topic_count >= f->options.channels_max) return false;
  if (!t) t = topic_new(f, kind, name);
  bool is_first = !t->listeners++;
  list_init(&s->link);
  list_append(&t->subscriptions, &s->link);
  s->topic = t, s->is_live = false;
  redis_link_open(&f->link);
  if (is_first) topic_ask(t, OP_SUBSCRIBE);
  else if (t->is_live) loop_arm(f->link.home->loop, &f->joined, f->link.home->loop->now);
  return true;
}

void redis_unsubscribe(struct redis_subscription *s) {
  struct redis_topic *t = s->topic;
  if (s->placed) s->placed->leave(s->placed);
  if (!t) return;
  s->topic = NULL, s->is_live = false;
  list_remove(&s->link);
  if (--t->listeners) return;
  t->is_live = false;
  topic_ask(t, OP_UNSUBSCRIBE);
  topic_settle(t);
}

void redis_feed_ask(struct redis_feed *f, int argc, const char *const *argv, const size_t *lens,
                    void (*on_answer)(struct redis_feed *f, const redisReply *reply, void *owner),
                    void *owner) {
  struct op *o = op_add(f, OP_ASK, NULL);
  o->on_answer = on_answer, o->owner = owner;
  feed_send(f, argc, argv, lens);
}

const struct redis_link *redis_feed_link(const struct redis_feed *f) { return &f->link; }
