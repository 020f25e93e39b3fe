// SPDX-License-Identifier: MIT
// A channel of this process that is kept up to date with what a Redis server has of it: heard first, then
// looked at; what is missing is read before anything later is admitted, and where it cannot be had any more
// the channel's subscribers are told. The store's thread only.
#pragma once
#include "client/redis_calls.h"
#include "store/store.h"

// A request on its way: embedded in who carries it out, and waits here for its channel.
struct redis_waiting {
  struct list link;
  struct store_request *request;
  double since;
};

// What all channels have in common.
struct redis_follows {
  struct redis_calls calls;
  struct loop *loop;
  const struct clock *clock; // of channels
  struct map by_channel;     // by the address of the channel
  struct list in_turn;       // looked at longest ago first
  void (*on_ready)(
      struct redis_waiting *w); // its channel is loaded, or has come as far as the request's `at`
};

struct redis_follow {
  struct map_node node;
  struct list link; // in_turn
  struct redis_follows *follows;
  struct channel *channel; // a reference
  struct redis_subscription subscription;
  struct redis_command fill, look, renew;
  struct list loading, admitting; // struct redis_waiting: until it is loaded; until it is as far as `at`
  struct position from, wanted;   // where the fill that is on its way begins; heard since, and missing
  struct position end;            // of its last event, where it has_end
  struct held {
    struct event *event;
    struct position at;
  } * held; // heard while something before it is read, or it is not loaded
  size_t held_count, held_cap;
  struct timer gap;
  double looked_at, used_at, renewed_at, filled_at; // filled_at: when the fill was asked for
  double repaired_at;                               // when the server was last told its functions
  bool is_loaded, is_behind, has_end;               // is_behind: a fill has failed
};

void redis_follows_init(struct redis_follows *f, struct loop *l, const struct clock *clock,
                        void (*on_ready)(struct redis_waiting *w));

// Ends all; nothing waits in them.
void redis_follows_deinit(struct redis_follows *f);

// The channel's, made where there is none and it is wanted; else NULL.
struct redis_follow *redis_follow_of(struct redis_follows *f, struct channel *c, bool is_wanted);

// Has the request wait until the channel is loaded, or has come as far as `at`; on_ready may come at once.
void redis_follow_load(struct redis_follow *f, struct redis_waiting *w);
void redis_follow_reach(struct redis_follow *f, struct redis_waiting *w);

// Its own event, numbered there, of which it may not have been heard yet.
void redis_follow_admit(struct redis_follow *f, const struct sse_fields *fields, uint64_t key,
                        struct position at);

// The channel has ended with that event.
void redis_follow_end(struct redis_follow *f, struct position at);

// Looks at those whose turn it is, and lets go of those that nobody uses. From time to time.
void redis_follows_tick(struct redis_follows *f);
