// SPDX-License-Identifier: MIT
// What the functions of redis_library.lua are called with: a channel's keys, its limits, and more. The thread
// of the connection's loop only.
#pragma once
#include "base/words.h"
#include "client/redis_pair.h"
#include "client/redis_record.h"
#include "event/channel.h"

struct redis_calls {
  struct redis_pair *pair;
  struct span prefix;    // of all names there
  struct span node;      // this process, as others tell it apart
  const char *functions; // what the names of those of the library begin with
  double lease;          // seconds for which others go by what it has said of itself
};

enum { CALL_PAGE = 256, CALL_FUNCTIONS_MAX = 24 }; // events of a page; bytes of what functions begin with

// The text of redis_library.lua with its own version, NUL-terminated, the caller's; and what the names of its
// functions begin with. Text that differs has other names, so that a server can have several.
char *call_library(struct span text, char functions[CALL_FUNCTIONS_MAX]);

// All of these send one call, answered by c->on_reply; false: too much waits already.
//
// An event; `ends`: the channel with it, then `bytes` may be empty. Replies its id; nil: the channel had
// ended.
bool call_append(struct redis_calls *r, struct redis_command *c, const struct channel *ch, struct span bytes,
                 bool ends);

// A page from a position on, which it begins with where that is there; { 0 }: from the first. Replies the
// newest id, then ids and events by turns: fewer where they are large, but more than that one where there
// are.
bool call_read(struct redis_calls *r, struct redis_command *c, const struct channel *ch,
               struct position from);

// The same of the newest so many.
bool call_tail(struct redis_calls *r, struct redis_command *c, const struct channel *ch, long last);

// What the channel is now, telling of so many subscribers: the newest id ("": none), whether it has ended,
// subscribers on other nodes.
bool call_look(struct redis_calls *r, struct redis_command *c, const struct channel *ch, size_t subscribers);

// A member by this node; `came`: the event that says so. And all that it has still, `members` as
// channel_members puts them down: those that others took for gone come again. Replies the newest id.
bool call_join(struct redis_calls *r, struct redis_command *c, const struct channel *ch, struct span id,
               struct span meta, struct span came);
bool call_renew(struct redis_calls *r, struct redis_command *c, const struct channel *ch,
                struct span members);
bool call_leave(struct redis_calls *r, struct redis_command *c, const struct channel *ch, struct span id);

// Replies ids and metas by turns.
bool call_members(struct redis_calls *r, struct redis_command *c, const struct channel *ch);

// A step of a dictionary; the first of the words is its name. Replies a list of texts.
bool call_step(struct redis_calls *r, struct redis_command *c, const char *step, const struct words *given);

// The functions are not there where the channel or dictionary of the name is, as an answer says: they are
// loaded before what is called next.
void call_load(struct redis_calls *r, struct span name);

// Forgets a channel.
bool call_remove(struct redis_calls *r, struct redis_command *c, const struct channel *ch);
