// SPDX-License-Identifier: MIT
// Tells when what an application was made of has been saved anew. Main thread.
#pragma once
#include "base/sources.h"
#include "loop/readable.h"

struct watch {
  struct sources sources;
  struct loop *loop;
  struct readable readable; // of inotify
  struct timer quiet, poll;
  size_t watched;  // sources, at the last update
  double first_at; // of the changes that have not been looked at yet; < 0: there are none
  void (*on_change)(struct watch *w);
};

// Begins to watch nothing.
void watch_open(struct watch *w, struct loop *loop, void (*on_change)(struct watch *w));

// Watches the folders of all sources there are now, in place of those before, and has one look at them.
void watch_update(struct watch *w);

void watch_close(struct watch *w);
