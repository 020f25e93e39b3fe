// SPDX-License-Identifier: MIT
// Work that completes elsewhere: on another thread, or on another host. It comes home as a message. Who waits
// for it may leave before: a late answer then finds nobody, and frees itself.
#pragma once
#include "loop/inbox.h"

// Embedded first in what the work is about, and what it has found.
struct job {
  struct message done; // on its way home
  struct inbox *home;
  void (*on_done)(struct job *j); // who waits; NULL: nobody. Home's thread only
  void (*free)(struct job *j);    // after that; NULL: the job is a part of what waits
};

// Has `on_done` be called once, and `free` after it, when the job is finished. Home outlives the work. Home's
// thread, or before the job is handed to whoever does it.
void job_begin(struct job *j, struct inbox *home, void (*on_done)(struct job *j),
               void (*free)(struct job *j));

// It is done; the job is home's from here on. Any thread, once.
void job_finish(struct job *j);

// Nobody waits for a job that has not been told of: `free` alone is called when it is finished. Home's
// thread.
void job_abandon(struct job *j);
