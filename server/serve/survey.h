// SPDX-License-Identifier: MIT
// A question that each worker of the process answers in a turn of its own. Who has asked may leave before all
// have answered.
#pragma once
#include <stdatomic.h>
#include "base/buf.h"
#include "loop/job.h"

struct service;

// Appends to `out` what the worker has to say, on its thread. `about` is borrowed.
typedef void survey_fn(struct service *s, struct span about, struct buf *out);

struct survey {
  struct job job; // finished when all have answered
  survey_fn *ask;
  struct span about; // of its own
  void *owner;       // whoever asks sets it
  bool is_over, is_left;
  atomic_size_t unanswered; // and one while they are asked
  size_t count;
  struct survey_answer {
    struct message message;
    struct survey *survey;
    struct service *service; // NULL: it has ended
    atomic_bool is_there;    // the answer, in `out`
    struct buf out;
  } answers[];
};

// Asks all workers. on_done(job) is called on the asker's thread, later, unless it has left.
struct survey *survey_begin(struct service *asker, survey_fn *ask, struct span about,
                            void (*on_done)(struct job *j));

// Who has asked needs it no more: it is freed, once all have answered. The asker's thread, once.
void survey_leave(struct survey *s);
