// SPDX-License-Identifier: MIT
// Who waits is known to home's thread alone: it is asked when the job arrives there, so leaving needs no lock
// and no word to whoever does the work.
#include "loop/job.h"

static void come_home(struct message *m) {
  struct job *j = container_of(m, struct job, done);
  void (*free)(struct job * job) = j->free;
  if (j->on_done) j->on_done(j);
  if (free) free(j);
}

void job_begin(struct job *j, struct inbox *home, void (*on_done)(struct job *j),
               void (*free)(struct job *j)) {
  *j = (struct job){.done = {.deliver = come_home}, .home = home, .on_done = on_done, .free = free};
}

void job_finish(struct job *j) { inbox_post(j->home, &j->done); }

void job_abandon(struct job *j) { j->on_done = NULL; }
