// SPDX-License-Identifier: MIT
// What a dictionary asks of the store that keeps it for several processes: a step, with words, which the
// store carries out as one, and answers with words. A dictionary of which a process has a copy of its own
// asks nothing (event/shared.h).
#pragma once
#include "base/words.h"
#include "store/store.h"

// Its job's link is the store's until it answers.
struct store_call {
  struct job job;
  atomic_uint refs; // the asker's and the answer's: either may be done with it first
  struct store *store;
  const char *step;            // static: "get", "set" and so on, as client/redis_library.lua has them
  struct words words, answers; // the first of `words` is the dictionary's name
  enum store_answer answer;
  const char *why;     // of STORE_UNAVAILABLE: a word, static
  struct list waiters; // on_done's own
};

// A call with the asker's reference, without words. Any thread.
struct store_call *store_call_new(struct store *s, const char *step, struct inbox *home,
                                  void (*on_done)(struct job *j));

// Drops the asker's reference. Any thread.
void store_call_unref(struct store_call *c);

// Whether the store keeps dictionaries in this way.
static inline bool store_takes_calls(const struct store *s) { return s && s->ops->call; }

// Hands it to its store. Any thread.
void store_call_ask(struct store_call *c);

// For stores: sends the answer home. Any thread.
void store_call_answer(struct store_call *c, enum store_answer answer);
void store_call_unavailable(struct store_call *c, const char *why);
