// SPDX-License-Identifier: MIT
// One connection to a Redis server, which comes back by itself: dialled, greeted (AUTH, SELECT, PING),
// watched for silence, and after a loss dialled again, later each time. It carries commands as bytes and
// tells of replies; whose they are its user knows. The loop's thread only.
//
// What the user is told, it is told from the home's hook or from a descriptor's or timer's callback, never
// from within a function that it calls. There it may call every function here.
#pragma once
#include "base/buf.h"
#include "client/dial.h"
#include "client/redis_address.h"
#include "client/redis_code.h"
#include "client/redis_reader.h"
#include "loop/transport.h"

struct redis_link;

// What the connections of a loop share; outlives them, but for those that redis_home_free_later has.
struct redis_home {
  struct loop *loop;
  struct resolver *resolver; // NULL: names cannot be looked up
  // Where it is set, specs': what carries the bytes instead of a socket; NULL: refused.
  struct transport *(*stand_in)(struct redis_home *h, const char *host, unsigned port);
  struct loop_hook hook;
  struct list dirty, doomed;
  unsigned seed; // of the jitter
};

// Makes it ready, with a hook in the loop. The resolver outlives it.
void redis_home_init(struct redis_home *h, struct loop *l, struct resolver *resolver);

// Ends it, behind all that uses it. Harmless for one of zeros.
void redis_home_deinit(struct redis_home *h);

// Embedded in what a callback may want freed while it runs: freed in the hook.
struct redis_doomed {
  struct list link;
  void (*free)(struct redis_doomed *d);
};
void redis_home_free_later(struct redis_home *h, struct redis_doomed *d);

enum redis_link_state {
  LINK_CLOSED,   // until it is opened
  LINK_DUE,      // to be dialled in the hook
  LINK_LOCATING, // its locator looks for where to
  LINK_DIALLING,
  LINK_GREETING,
  LINK_READY,
  LINK_FAILED, // to be told of in the hook
  LINK_WAITING // until it is tried again
};

struct redis_link_ops {
  void (*on_ready)(struct redis_link *l); // commands may be sent
  // A reply, whose `*reply` may be taken by setting it NULL. True where it answers a command.
  bool (*on_reply)(struct redis_link *l, redisReply **reply);
  void (*on_room)(struct redis_link *l); // redis_link_has_room again
  void (*on_idle)(struct redis_link *l); // silent for `ping` seconds: have something be answered. May be NULL
  void (*on_lost)(struct redis_link *l); // or could not be made, as l->why says; it is tried again by itself
};

// Who knows where the server is, if that may change: asked before each dialling, answers by
// redis_link_located.
struct redis_locator {
  void (*find)(struct redis_locator *r, struct redis_link *l);
  void (*leave)(struct redis_locator *r, struct redis_link *l); // the link does not wait any more
};

struct redis_times {
  double connect; // seconds for one try, to the greeting's end
  double silence; // without a byte while an answer is due: it is lost; INFINITY: never
  double ping;    // without a byte otherwise: on_idle; INFINITY: never
};

struct redis_link {
  struct redis_home *home;
  const struct redis_link_ops *ops;
  const struct redis_address *address; // as whom to speak, and how
  struct redis_locator *locator;       // NULL: none
  struct redis_times times;
  enum redis_link_state state;
  enum redis_code code; // of a loss: what the greeting was answered; else REDIS_CODE_UNAVAILABLE
  char why[200];        // of the last loss, for people
  char *host;           // where to; NULL: to the socket in the file system
  unsigned port;
  bool was_ready;                      // before the loss
  struct list dirty_link, locate_link; // of the home's, and of its locator's
  struct dial dial;
  struct transport *transport; // while it is connected
  struct redis_reader reader;
  struct buf out, flight;
  size_t sent;                         // of flight
  unsigned greeting;                   // answers to it that are missing
  unsigned failures;                   // in a row
  uint64_t expected;                   // answers that are due
  double heard_at, asked_at, ready_at; // a byte; the oldest question since nothing was due
  struct timer timer;
};

// Makes it ready, closed. `address` and `locator` outlive it; host and port are those of the address until
// redis_link_move.
void redis_link_init(struct redis_link *l, struct redis_home *home, const struct redis_link_ops *ops,
                     const struct redis_address *address, const struct redis_times *times);

// Closes it, and frees what it has; the struct is to live until the hook where a callback of it runs
// (redis_home_free_later).
void redis_link_deinit(struct redis_link *l);

// Has it be dialled where it is closed, and again after each loss. Closing tells nobody.
void redis_link_open(struct redis_link *l);
void redis_link_close(struct redis_link *l);

// Another host from the next dialling on.
void redis_link_move(struct redis_link *l, const char *host, unsigned port);

// Gives the connection up as lost; on_lost follows. Nothing where there is none. `why` is copied.
void redis_link_drop(struct redis_link *l, const char *why);

// A locator's answer: where to; host NULL: nowhere, as `why` says. Borrowed.
void redis_link_located(struct redis_link *l, const char *host, unsigned port, const char *why);

// Sends a command, formatted, copied, which `answers` answers are due to. Ready only.
void redis_link_send(struct redis_link *l, struct span command, unsigned answers);

// So many words as a command, appended.
void redis_format(struct buf *b, int argc, const char *const *argv, const size_t *lens);

// What waits is little enough for more.
static inline bool redis_link_has_room(const struct redis_link *l) { return l->out.len < (256 << 10); }

// "host:port", or the path: what messages name; `out`.
const char *redis_link_name(const struct redis_link *l, char out[static 128]);
