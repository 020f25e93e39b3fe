// SPDX-License-Identifier: MIT
// A channel's end at one worker: events are left there by whoever publishes and handed out to the subscribers
// on the worker's thread. The channel's lock guards what is left; what touches it says so.
#pragma once
#include "base/list.h"
#include "event/event.h"
#include "loop/inbox.h"

struct channel;
struct outlet;
struct subscriber;

// What a subscriber is told, on its worker's thread.
struct subscriber_ops {
  bool (*on_event)(struct subscriber *s, struct event *e); // borrowed; false: the subscriber is gone
  void (*on_finish)(struct subscriber *s);                 // nothing follows
  void (*on_lost)(struct subscriber *s);                   // events were dropped: its worker was too late
  void (*on_broken)(struct subscriber *s); // the channel begins anew, without what would follow
};

struct subscriber {
  struct list link;
  struct outlet *outlet;
  const struct subscriber_ops *ops;
  struct position last; // of what it has; live events up to here are not for it
};

// What of the events that were left is not there.
enum outlet_loss { OUTLET_WHOLE, OUTLET_LATE, OUTLET_BROKEN };

// Made with the first subscriber there, freed with the channel.
struct outlet {
  struct message message;
  struct channel *channel;
  struct inbox *inbox; // of the worker
  struct outlet *next;
  struct list subscribers; // worker's thread only
  size_t subscriber_count; // behind the lock
  struct event **pending;  // behind the lock
  size_t pending_count, pending_cap, pending_bytes;
  bool posted;           // behind the lock
  enum outlet_loss loss; // likewise
};

// What an outlet had when its worker came for it.
struct delivery {
  struct event **events;
  size_t count;
  enum outlet_loss loss;
  bool finished;
};

struct outlet *outlet_new(struct channel *c, struct inbox *inbox, void (*deliver)(struct message *m));

// Nothing waits in it and nobody is subscribed.
void outlet_free(struct outlet *o);

// Leaves an event (borrowed), unless more than `bytes_max` wait for the worker; then all that waits is
// dropped, and its subscribers are told. False where that has happened now. With the lock held.
bool outlet_leave(struct outlet *o, struct event *e, size_t bytes_max);

// The same without an event: what follows has no place behind what they have. With the lock held.
void outlet_break(struct outlet *o);

// Takes what waits. With the lock held.
struct delivery outlet_take(struct outlet *o, bool finished);

// Tells each subscriber of it, and lets go of the events. Worker's thread, without the lock.
void outlet_hand_out(struct outlet *o, struct delivery *d);
