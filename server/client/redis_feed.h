// SPDX-License-Identifier: MIT
// What is published on a Redis server's channels, over one connection that all subscriptions share, and that
// comes back by itself. Published while a subscription is not live is lost to it: it is told when it is. The
// thread of its home's loop only; no Lua.
//
//   struct redis_feed *f = redis_feed_new(&home, &address, &redis_feed_usual);
//   struct redis_subscription s = {.on_live = ..., .on_message = ..., .on_lost = ...};   // embedded in who
//   listens redis_subscribe(f, &s, REDIS_CHANNEL, name);   // connects; name is copied redis_unsubscribe(&s);
//   // at any time redis_feed_free(f);
// Callbacks come from the loop, never from within these, and may call any of them. A subscription is first
// told on_live: all that is published from there on is heard, until on_lost. Then on_live again, behind what
// may have been missed. It may also be refused (on_refused): such as by an ACL; it is not live then until a
// next connection.
#pragma once
#include "base/map.h"
#include "client/redis_link.h"

struct redis_feed;

enum redis_channel_kind { REDIS_CHANNEL, REDIS_PATTERN, REDIS_SHARD }; // SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE

struct redis_feed_options {
  struct redis_times times;
  size_t channels_max; // names at a time
};

// Connect 5 s, silence 5 s, a ping every 5 s, 100,000 names.
extern const struct redis_feed_options redis_feed_usual;

// Who subscribes on another's behalf (client/redis_cluster.h).
struct redis_placed {
  void (*leave)(struct redis_placed *p);
};

// Embedded in who listens, all zeros but for these, who sets the functions; each may be NULL but on_message.
struct redis_subscription {
  void (*on_message)(struct redis_subscription *s, struct span channel, struct span payload);
  void (*on_live)(struct redis_subscription *s);
  void (*on_lost)(struct redis_subscription *s);
  void (*on_refused)(struct redis_subscription *s, const char *message);
  struct list link;
  struct redis_topic *topic;   // the feed's, as is
  struct redis_placed *placed; // both NULL: it has not begun, or has ended
  bool is_live;                // on_live has been told, and on_lost not since
};

struct redis_feed *redis_feed_new(struct redis_home *home, const struct redis_address *address,
                                  const struct redis_feed_options *options);

// Frees it, once all its subscriptions have ended.
void redis_feed_free(struct redis_feed *f);

// As redis_on_state, redis_set_locator, redis_move, redis_open and redis_reset of client/redis.h.
void redis_feed_on_state(struct redis_feed *f,
                         void (*on_state)(struct redis_feed *f, bool is_ready, void *owner), void *owner);
void redis_feed_set_locator(struct redis_feed *f, struct redis_locator *locator);
void redis_feed_move(struct redis_feed *f, const char *host, unsigned port);
void redis_feed_open(struct redis_feed *f);
void redis_feed_reset(struct redis_feed *f, const char *why);

// Begins; false: too many names. Where others listen to the same name already, on_live comes in a later turn.
bool redis_subscribe(struct redis_feed *f, struct redis_subscription *s, enum redis_channel_kind kind,
                     struct span name);

// Ends; harmless where it has not begun.
void redis_unsubscribe(struct redis_subscription *s);

// A question on the same connection, ahead of its subscriptions, such as INFO replication: only in
// on_state(true). `on_answer` is called once unless the feed is freed, reply NULL where the connection is
// lost before.
void redis_feed_ask(struct redis_feed *f, int argc, const char *const *argv, const size_t *lens,
                    void (*on_answer)(struct redis_feed *f, const redisReply *reply, void *owner),
                    void *owner);

const struct redis_link *redis_feed_link(const struct redis_feed *f);
