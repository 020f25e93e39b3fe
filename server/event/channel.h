// SPDX-License-Identifier: MIT
// A named channel: whoever publishes reaches every subscriber of the process once, in order. Under the
// channel's lock an event gets its number, its bytes and its place in history, and is left at the outlet of
// each worker that has subscribers; the worker is woken once for all that is left there.
#pragma once
#include <pthread.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "event/history.h"
#include "event/members.h"
#include "event/outlet.h"
#include "event/sse.h"

struct broker;
struct store;

enum on_full { ON_FULL_DISCONNECT, ON_FULL_DROP_OLDEST, ON_FULL_CONFLATE };

// What a channel says of its subscribers' streams, unless a reply says it.
enum channel_compress { COMPRESS_UNSAID, COMPRESS_ON, COMPRESS_OFF };

struct channel_options {
  size_t history, history_bytes;
  double ttl;
  size_t queue; // events that may wait for one subscriber
  enum on_full on_full;
  bool in_memory; // also where there is a store
  enum channel_compress compress;
};

enum channel_state {
  CHANNEL_LOADING, // its store has not said yet where it is: whoever subscribes or publishes waits
  CHANNEL_LIVE,
  CHANNEL_FINISHED // nothing follows
};

struct channel {
  struct map_node node;
  struct broker *broker;
  pthread_mutex_t lock;
  atomic_uint refs; // broker, outlets on their way, whoever holds it
  struct channel_options options;
  struct history history;
  struct outlet *outlets;
  struct members members;
  size_t subscriber_count, catching_up; // the others are sent the past by the store
  atomic_size_t elsewhere;              // subscribers in other processes, as its store was told last
  struct position newest;               // of its events
  double left_at;                       // when the last subscriber went, or it was made
  struct store *store;                  // numbers and keeps its events; NULL: it does so itself
  struct compressor *compressor;        // of compressed streams; NULL: there has been none
  struct channel *source;               // of a derived one, whose positions its events have; else NULL
  uint8_t state;                        // enum channel_state
  bool removed;                         // behind the broker's lock
  atomic_bool is_told;                  // that it was opened with other options than it has
  char name[];
};

enum publish_result { PUBLISH_OK, PUBLISH_FULL, PUBLISH_FINISHED };

// Numbers, encodes and admits in one step. The fields' id is replaced by the server's own, written to `id`
// (CHANNEL_ID_MAX bytes). `key` tells events apart that conflate. Any thread.
enum { CHANNEL_ID_MAX = POSITION_TEXT_MAX, CHANNEL_NAME_MAX = 255 };
enum publish_result channel_publish(struct channel *c, const struct sse_fields *fields, uint64_t key,
                                    double now, char id[CHANNEL_ID_MAX]);

// The same at a position that another gave, its source; nothing happens where the channel is there already.
enum publish_result channel_publish_at(struct channel *c, const struct sse_fields *fields, uint64_t key,
                                       struct position at, double now, char id[CHANNEL_ID_MAX]);

// An event of the fields at that position, with one reference. `id`: CHANNEL_ID_MAX bytes. Any thread.
struct event *channel_event(const struct sse_fields *fields, uint64_t key, struct position at,
                            char id[CHANNEL_ID_MAX]);

enum admit_result {
  ADMIT_OK,
  ADMIT_KNOWN, // the channel is there already, or has ended
  ADMIT_JUMP   // it has not what comes directly before: that is to be admitted first
};

// Puts an event (borrowed) that was numbered elsewhere into history and before the subscribers. `before`: the
// position of the event directly before it. Any thread.
enum admit_result channel_admit(struct channel *c, struct event *e, struct position before, double now);

// Publishes the last events of all, `fields` (may be NULL), and ends the channel. Any thread.
enum publish_result channel_finish(struct channel *c, const struct sse_fields *fields, double now);

// The position of the newest event; and moving it on where nothing was published. Any thread.
struct position channel_newest(struct channel *c);
void channel_skip(struct channel *c, struct position to);

// What a new subscriber has missed and may have: `events` (references, to be dropped and freed by the
// caller).
struct replay {
  struct event **events;
  size_t count;
  bool reset;    // it asked for what history no longer holds, or never did
  bool finished; // nothing will follow
};

// For stores: where a channel that was LOADING is. Any thread.
void channel_loaded(struct channel *c, struct position newest);

// For stores: nobody has been subscribed or a member for so long, so that it will not be kept up to date any
// more: it is LOADING again. False where somebody is, or was lately. Any thread.
bool channel_unload(struct channel *c, double linger, double now);

// For stores: what lies between its newest event and `to` cannot be had. History begins there, and
// subscribers are told. Any thread.
void channel_break(struct channel *c, struct position to);

// Subscribes and reads history in one step: no event is lost or twice. `after` an id, or empty; then the
// newest `last` events (-1: all there are; REPLAY_HELD: all that history holds). False
// where the past is to be read from its store first: it is no subscriber yet, but nobody is lonely until
// channel_follow has been true, or channel_forgo been called. Worker thread of `inbox`.
enum { REPLAY_HELD = -2 };
bool channel_subscribe(struct channel *c, struct inbox *inbox, struct subscriber *s, struct span after,
                       long last, double now, struct replay *r);

// The same behind an event up to which the past was read from the store; false where history does not hold
// all that has come since, or where the channel has not come as far: its store may have lost that event.
bool channel_follow(struct channel *c, struct inbox *inbox, struct subscriber *s, struct position from,
                    double now, struct replay *r);

// Who was to follow has left, or cannot be told the past. Any thread.
void channel_forgo(struct channel *c, double now);

// The channel's subscribers at a worker, by subscriber.link; NULL where there has been none. The worker's
// thread.
struct list *channel_subscribers_at(struct channel *c, const struct inbox *inbox);

// What makes its events into blocks that compressed streams share, with a reference. Any thread.
struct compressor *channel_compressor(struct channel *c);

// Ends a subscription; harmless when done twice. Worker thread.
void channel_unsubscribe(struct subscriber *s);

// The newest n events (-1: all) as references in *events, which the caller drops and frees; their number. -1
// where its store alone has them. Any thread.
long channel_history(struct channel *c, long n, double now, struct event ***events);

// Adds or removes a member; where it is new, or was the last of that id, publishes `fields` in the same step,
// so that these events have the order in which members came and went. Any thread.
void channel_join(struct channel *c, struct span id, struct span meta, const struct sse_fields *fields,
                  uint64_t key, double now);
void channel_leave(struct channel *c, struct span id, const struct sse_fields *fields, uint64_t key,
                   double now);

// Whether it has ended; whether its store has not said yet where it is. Any thread.
bool channel_is_finished(struct channel *c);
bool channel_is_loading(struct channel *c);

// Whether somebody can subscribe, who is about to: it stays so for a while. Any thread.
bool channel_is_ready(struct channel *c, double now);

// Seconds since the last subscriber went; < 0 where there is one. Any thread.
double channel_lonely(struct channel *c, double now);

// Drops the reference; NULL is allowed. Any thread.
void channel_unref(struct channel *c);
struct channel *channel_ref(struct channel *c);

// For the broker: a channel with one reference.
struct channel *channel_new(struct broker *b, struct span name, const struct channel_options *o,
                            uint64_t epoch, double now);

// For the broker: has a store number and keep its events; before anybody else has the channel.
void channel_keep_in(struct channel *c, struct store *s);

// Where the event directly before one of its own is, as far as it still knows. Any thread.
struct position channel_before(struct channel *c, const struct event *e);

// A channel outside the broker's names whose events have the positions of the source's; those up to `dropped`
// it will never have.
struct channel *channel_derive(struct channel *source, struct position dropped, double now);

// For the broker: lets go of what is too old; true where nothing is left and nobody is there. is_pressed:
// what a store has as well does not count.
bool channel_is_empty(struct channel *c, double now, bool is_pressed);

// Subscribers on all workers, but for those who still read the past from a store; and those in other
// processes beside them. Any thread.
size_t channel_subscribers_here(struct channel *c);
size_t channel_subscribers(struct channel *c);

// Appends each member's id and meta as NUL-terminated texts to `out`. Their number. Any thread.
size_t channel_members(struct channel *c, struct buf *out);
