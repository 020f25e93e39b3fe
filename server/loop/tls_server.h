// SPDX-License-Identifier: MIT
// What a loop has for its connections by TLS: the hosts that new ones are made to, and whose turn it is.
// Handshakes cost a private key's operation each; in a turn they get a share, behind what streams have to
// write, so that a storm of them holds nobody up. The loop's thread only.
#pragma once
#include "loop/loop.h"
#include "loop/tls_hosts.h"

struct tls_counters {
  uint64_t handshakes_total, resumed_total; // completed; of them by a ticket
  uint64_t refused_total;   // handshakes that failed, or took too long, or were one too many ...
  uint64_t crowded_total;   // ... which these were
  uint64_t truncated_total; // connections that ended without a word of their end (close_notify)
};

// Something that waits to go on, once.
struct tls_turn {
  struct list link;
  void (*go_on)(struct tls_turn *t); // it may free the turn
};

struct tls_server {
  struct loop *loop;
  struct loop_hook hook;
  struct tls_hosts *hosts; // NULL: there is no TLS
  struct tls_counters *counters;
  struct list reading;     // turns of those that are open, and have something to read
  struct list shaking;     // of those that are not
  size_t count, count_max; // handshakes under way, and how many may be
  struct bio_method_st *wire;
};

// Begins without hosts; hooked to the loop behind what writes. `counters` are its owner's.
void tls_server_init(struct tls_server *s, struct loop *loop, struct tls_counters *counters,
                     size_t handshakes_max);

// Its connections are closed.
void tls_server_deinit(struct tls_server *s);

// New connections are made to these hosts (taken) from now on.
void tls_server_use(struct tls_server *s, struct tls_hosts *hosts);

// Has `t` go on in this turn or a later one.
void tls_server_queue(struct tls_server *s, struct tls_turn *t, bool is_open);
