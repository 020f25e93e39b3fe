// SPDX-License-Identifier: MIT
// Signals as something that a loop reads. They have to be blocked in every thread.
#pragma once
#include <signal.h>
#include "loop/watch.h"

struct signals {
  struct watch watch;
  void (*on_signal)(struct signals *s, int number);
};

// Watches the blocked signals in `set`. 0, or -1 where there is no descriptor for them.
int signals_start(struct signals *s, struct loop *loop, const sigset_t *set);
void signals_stop(struct signals *s);
