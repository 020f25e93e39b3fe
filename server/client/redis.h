// SPDX-License-Identifier: MIT
// Commands to a Redis server over one connection, which all who ask share: pipelined, answered in their
// order, made when the first is asked, and again by itself after a loss. The thread of its home's loop only;
// no Lua.
//
// How to use it, on any loop:
//   struct redis_home home;                      // one per loop
//   redis_home_init(&home, loop, resolver);      // resolver_new(loop, inbox, pool), or NULL: addresses only
//   struct redis *r = redis_new(&home, &address, &redis_usual);   // redis_address_init; nothing is connected
//   yet struct redis_command c = {.on_reply = on_reply};              // embedded in who asks if
//   (!redis_ask(r, &c, argc, argv, lens)) ...;                 // refused: too much waits; nothing was sent
//   redis_leave(&c);                             // who asked goes before on_reply: nobody is told
//   redis_free(r), redis_home_deinit(&home);     // behind the last redis_free: it may still have what to
//   free
// on_reply is called once for each redis_ask that was taken, never from within it, and may call anything
// here. The code says what became of the command: REDIS_CODE_OK or what the server answered, with a reply;
// else without one UNAVAILABLE: nothing was done; UNKNOWN: it was sent, and may have been done. Subscriptions
// have a connection of their own: client/redis_feed.h. Whoever wants both on the same server compares what
// INFO replication says on each, in on_state, and redis_reset()s them where they differ.
#pragma once
#include "client/redis_link.h"

struct redis;

struct redis_options {
  struct redis_times times;
  double wait;    // seconds for which a command waits for a connection, or for those before it
  double timeout; // seconds from asking to its answer; its own may differ
  size_t commands_max, bytes_max; // of those that are not answered; beyond, redis_ask refuses
};

// Connect 5 s, silence 5 s, no pings, wait 2 s, timeout 10 s, 10,000 commands, 64 MiB.
extern const struct redis_options redis_usual;

struct redis_answer {
  enum redis_code code;
  redisReply *reply;   // may be taken by setting it NULL; NULL: none came
  const char *message; // of any code but REDIS_CODE_OK: for people, borrowed
};

// Who asks on a command's behalf (client/redis_cluster.h).
struct redis_routed {
  void (*leave)(struct redis_routed *r);
};

// Embedded in who asks.
struct redis_command {
  void (*on_reply)(struct redis_command *c, struct redis_answer *a);
  double timeout;              // seconds; 0: as the options say; INFINITY: none
  struct redis_entry *entry;   // redis's own, as is
  struct redis_routed *routed; // both NULL: it does not wait
};

// Makes a client. The address outlives it, or is given to it by redis_own_address; `options` are copied.
struct redis *redis_new(struct redis_home *home, const struct redis_address *address,
                        const struct redis_options *options);

// Frees it. Who waits is not told.
void redis_free(struct redis *r);

// Told of each change: true, as a connection has become ready, before commands that wait are sent, so that
// what is asked here goes first; false as it is lost, behind the answers of those that it was lost to. NULL:
// nobody.
void redis_on_state(struct redis *r, void (*on_state)(struct redis *r, bool is_ready, void *owner),
                    void *owner);

// Who says where the server is (client/redis_sentinel.h); outlives it. Before the first command.
void redis_set_locator(struct redis *r, struct redis_locator *locator);

// Another place from the next connection on.
void redis_move(struct redis *r, const char *host, unsigned port);

// Connects without a command.
void redis_open(struct redis *r);

// Gives the connection up and makes another: what was sent becomes UNKNOWN. `why` is for the log.
void redis_reset(struct redis *r, const char *why);

// Asks; the words are copied. False: too much waits already, and the command is as it was.
bool redis_ask(struct redis *r, struct redis_command *c, int argc, const char *const *argv,
               const size_t *lens);

// The same of a command that is formatted already (redis_format); `prefix` of it are commands whose answers
// are passed over, such as ASKING.
bool redis_ask_formatted(struct redis *r, struct redis_command *c, struct span bytes, unsigned prefix);

// Nobody waits any more; harmless where it does not. What was not sent is not.
void redis_leave(struct redis_command *c);

bool redis_is_ready(const struct redis *r);

// Of commands that are not answered, and of their bytes.
size_t redis_waiting(const struct redis *r);

const struct redis_link *redis_link(const struct redis *r);
