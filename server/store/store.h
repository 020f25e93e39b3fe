// SPDX-License-Identifier: MIT
// What a channel asks of the store that numbers its events and keeps them, where it does not do so itself. A
// store takes requests, carries out those of one channel in the order of taking, and answers each later, from
// any thread. Before the first answer for a channel it says where that is (channel_loaded). What it has
// numbered and kept it admits (channel_admit), and what it has ended it finishes (channel_finish), before it
// answers; so does what others have published there, in the same order. It bounds what it has taken and not
// carried out, by number, bytes and time: beyond, it answers STORE_UNAVAILABLE.
#pragma once
#include "base/clock.h"
#include "event/channel.h"
#include "loop/job.h"

enum store_what {
  STORE_OPEN,   // only say where the channel is
  STORE_APPEND, // number an event of the fields, and keep it
  STORE_FINISH, // end the channel, behind such an event where it has_event
  STORE_READ,   // give a page of the past
  STORE_REMOVE, // forget the channel
  STORE_MEMBERS // name the members that all processes have; of a store that is shared
};

enum store_answer {
  STORE_OK,
  STORE_ENDED,      // the channel had ended before
  STORE_UNAVAILABLE // whether an event was kept is not known: it may still come
};

enum { STORE_PAGE_MAX = 256 }; // events

struct store_call;

// Its job's link is the store's until it answers.
struct store_request {
  struct job job;
  atomic_uint refs;        // the asker's and the answer's: either may be done with it first
  struct channel *channel; // a reference
  enum store_what what;
  enum store_answer answer;
  struct sse_fields fields; // in `texts`
  uint64_t key;
  bool has_event;
  struct span member, meta; // of an event that tells of somebody who came or went, in `texts`; else NULL
  bool member_leaves;
  long last;             // STORE_READ: begin with the newest so many, -1 with the first; 0: behind `at`
  struct position at;    // answered: of the event that was appended, or of the last up to which was read
  struct event **events; // the page
  size_t count;
  struct buf members;  // STORE_MEMBERS: ids and metas, NUL-terminated
  bool is_gone;        // of what was behind `at` some is not there: the page begins with the first
  struct list waiters; // on_done's own: empty where they have left
  struct page *page;   // on_done's own: whose it is
  double asked_at;     // the asker's own
  const char *why;     // of STORE_UNAVAILABLE: a word, static; or NULL
  double taken_at;     // the store's own
  size_t len;          // bytes that it takes
  char texts[];
};

struct store_ops {
  // Takes a request; any thread, also with the channel's lock held. Where it is refused, its answer may be on
  // its way home before this returns.
  void (*take)(struct store *s, struct store_request *r);
  // Waits until all is answered that was taken so far; any thread. NULL: whoever asks ends later than the
  // store.
  void (*flush)(struct store *s);
  bool is_shared; // by several processes: events of members are published where all of them have it so
  // Has the listeners told in every process that shares it, this one as well; where one is cut off it is not.
  // Any thread. NULL: it is not shared.
  void (*tell)(struct store *s, struct span message);
  // Takes a step of a dictionary that it keeps (store/store_call.h), as it takes a request. NULL: it keeps
  // none, but what a process has of its own may be kept in it.
  void (*call)(struct store *s, struct store_call *c);
};

// What it counts; any thread may read.
struct store_counters {
  atomic_ulong kept_total, trimmed_total, commits_total; // events; transactions with some
  atomic_ulong refused_total, failed_total; // requests that were unavailable; what went wrong with the store
  atomic_ulong waiting, bytes;              // requests not carried out; on the disk
  atomic_bool is_down;                      // it is known to be out of reach
  atomic_bool is_unavailable;               // the request that was answered last was not carried out
  _Atomic double refused_at;                // when that was, by the store's clock
};

// Who is told what processes that share a store tell each other, on a thread of the store's.
struct store_listener {
  void (*on_told)(struct store_listener *l, struct span message);
};

// By which what was published is counted apart; the first has no store.
enum store_kind { STORE_MEMORY, STORE_SQLITE, STORE_REDIS, STORE_KINDS };

struct store {
  const struct store_ops *ops;
  enum store_kind kind;
  struct store_listener *listener; // NULL: nobody listens
  const struct clock *clock;
  struct store_counters counters;
};

// A request with copies of the fields (NULL: without an event), whose answer on_done is told at home. It
// holds a reference to the channel. Any thread.
struct store_request *store_request_new(struct channel *c, enum store_what what,
                                        const struct sse_fields *fields, uint64_t key, struct inbox *home,
                                        void (*on_done)(struct job *j));

// Drops the asker's reference. Any thread.
void store_request_unref(struct store_request *r);

// Hands it to the channel's store. Any thread.
void store_ask(struct store_request *r);

// Waits until all is answered that the store was asked for so far; NULL: there is none. Any thread.
void store_flush(struct store *s);

// Asks where nobody waits for the answer, which needs no home; what goes wrong is logged. Any thread.
void store_hand_over(struct channel *c, enum store_what what, const struct sse_fields *fields, uint64_t key);

// Tells every process of a message; where the store is not shared, this one, at once. Any thread.
void store_tell(struct store *s, struct span message);

// Whether it carries things out, as far as is known; 5 s after it has refused that is to be tried again. Any
// thread.
bool store_is_available(const struct store *s);

// For stores: sends the answer home. Any thread.
void store_answer(struct store_request *r, enum store_answer answer);

// The same where it is unavailable, for a reason.
void store_unavailable(struct store_request *r, const char *why);

// channel_join and channel_leave of a channel with a store. Any thread.
void store_join(struct channel *c, struct span id, struct span meta, const struct sse_fields *fields,
                uint64_t key);
void store_leave(struct channel *c, struct span id, const struct sse_fields *fields, uint64_t key);
