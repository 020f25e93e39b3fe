// SPDX-License-Identifier: MIT
// The certificates that are served, and the watch over their files: what is saved anew is used for new
// connections, what cannot be used leaves the old in place. Main thread.
#pragma once
#include "loop/tls_hosts.h"
#include "process/source_watch.h"

struct certificates {
  const struct tls_config *config; // without hosts: there is no TLS, and nothing happens
  struct tls_keys *keys;
  struct tls_hosts *hosts;
  struct source_watch watch;
  char error[TLS_ERROR_MAX]; // why the last reading is not used; "" where it is
  // Has everybody use c->hosts, for which each takes a reference.
  void (*on_new)(struct certificates *c);
};

// Reads them. False where they cannot be used: c->error says why.
bool certificates_open(struct certificates *c, const struct tls_config *config, struct tls_keys *keys);

// Begins to watch their files, on this loop.
void certificates_watch(struct certificates *c, struct loop *loop);

// Reads them anew. NULL, or why the old ones stay, which is logged too.
const char *certificates_read(struct certificates *c);

void certificates_close(struct certificates *c);
