// SPDX-License-Identifier: MIT
// The keys of session tickets, shared by all workers and outliving the certificates: a client resumes at
// whichever worker it comes back to, also after a reload. Any thread.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "base/clock.h"

enum { TLS_KEYS = 3, TLS_KEY_NAME_LEN = 16 };

struct tls_key {
  unsigned char name[TLS_KEY_NAME_LEN], cipher[32], mac[32];
  double made_at;
  bool is_made;
};

struct tls_keys {
  pthread_mutex_t lock;
  const struct clock *clock;
  struct tls_key keys[TLS_KEYS]; // behind the lock; the newest first
};

void tls_keys_init(struct tls_keys *k, const struct clock *clock);
void tls_keys_deinit(struct tls_keys *k);

// The key that tickets are made by now; false where there are no random bytes for a new one.
bool tls_keys_current(struct tls_keys *k, struct tls_key *out);

// The one of this name, while its tickets hold.
bool tls_keys_find(struct tls_keys *k, const unsigned char name[TLS_KEY_NAME_LEN], struct tls_key *out);
