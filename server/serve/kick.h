// SPDX-License-Identifier: MIT
// Ends streams by what they are called or read, on all workers, and where a store is shared by several
// processes in all of these.
#pragma once
#include "base/span.h"
#include "serve/survey.h"
#include "store/store.h"

struct process_state;
struct service;
struct stream;

enum kick_what { KICK_TAG, KICK_CHANNEL, KICK_STREAM }; // the last by its id, as stream_list has it

struct kick {
  enum kick_what what;
  struct span name;
  struct span reason; // the data of the event that says so
  double retry;       // seconds that clients are told to wait, each one to two times; 0: shutdown.retry
};

// Has it done by every worker, in its next turn, and tells other processes by the broker's store. It is
// copied. Worker thread.
void kick_everywhere(struct service *s, const struct kick *k);

// The two parts of that, for who wants to know: tells other processes, and says whether there are any that
// hear it; and a survey_fn, `about` being what kick_write has written, that does it and answers how many
// streams it had. Worker thread.
bool kick_elsewhere(struct service *s, const struct kick *k);
void kick_write(const struct process_state *p, const struct kick *k, struct buf *out);
survey_fn kick_and_count;

// Ends one stream for a reason. Its worker's thread.
void kick_one(struct stream *s, struct span reason);

// What has the process do as others tell it by a store; the process outlives that. Main thread.
struct store_listener *kick_listener(struct process_state *p);
