// SPDX-License-Identifier: MIT
// A socket to a host: its name is looked up, and its addresses are connected to one after another. Its time
// is its user's to bound. The loop's thread only.
#pragma once
#include "client/resolve.h"
#include "loop/watch.h"

// Embedded in who wants it, who sets the first three.
struct dial {
  struct loop *loop;
  struct resolver *resolver; // NULL: only addresses
  // A connected, non-blocking socket, the user's; -1: there is none, as `why` says. Once, also from within
  // dial_start. It may dial again, and free the dial.
  void (*on_done)(struct dial *d, int fd);
  struct lookup lookup;
  struct watch watch;
  struct resolved found;
  unsigned at, port; // `at`: the address that comes next
  char why[160];
};

// Begins; `host` is a name or an address without brackets, borrowed.
void dial_start(struct dial *d, const char *host, unsigned port);

// The same of a socket in the file system.
void dial_start_unix(struct dial *d, const char *path);

// Ends it without a word; harmless where it does not run.
void dial_stop(struct dial *d);
