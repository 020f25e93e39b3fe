// SPDX-License-Identifier: MIT
// Tells when what an application was made of has been saved anew. Main thread.
#pragma once
#include "base/sources.h"
#include "loop/watch.h"

struct source_watch {
  struct sources sources;
  struct loop *loop;
  struct watch watch; // of inotify
  struct timer quiet, poll;
  size_t watched;  // sources, at the last update
  double first_at; // of the changes that have not been looked at yet; < 0: there are none
  void (*on_change)(struct source_watch *w);
};

// Begins to watch nothing.
void source_watch_open(struct source_watch *w, struct loop *loop, void (*on_change)(struct source_watch *w));

// Watches the folders of all sources there are now, in place of those before, and has one look at them.
void source_watch_update(struct source_watch *w);

void source_watch_close(struct source_watch *w);
