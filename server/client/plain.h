// SPDX-License-Identifier: MIT
// Connections of HTTP/1.1 without TLS to other servers, kept and used again: what libcurl makes of such a
// request costs several times as much. Who starts a transfer here is told of its end by `on_step`, and then
// leaves. Worker thread only.
#pragma once
#include "client/plain_answer.h"
#include "loop/watch.h"

enum plain_outcome {
  PLAIN_GOES_ON,
  PLAIN_COMPLETE, // the answer, or of a redirect what is waited for
  PLAIN_FAILED    // t->error says why, t->text what happened; or its user has left
};

struct plain_pool {
  struct loop *loop;
  struct list idle; // the one that was used last is the last
  size_t idle_count;
  unsigned *in_call; // counts calls that run sinks: transfers are not freed meanwhile
  void (*on_step)(struct plain_pool *p, struct transfer *t, enum plain_outcome outcome);
};

// A connection, idle or with a transfer.
struct plain {
  struct watch watch;
  struct plain_pool *pool;
  struct transfer *transfer; // NULL: idle
  struct plain *earlier;     // one to another address, which is tried as well; NULL once it is connected
  struct list link;          // in pool.idle
  struct timer timer;        // before it is connected: the next address is tried then; later: it may be idle
  struct address address;
  unsigned port;
  bool is_connected, is_used; // is_used: it has carried another answer before
  bool is_deaf;               // the server takes no more of the request
  bool is_asked;              // all of the request has been written
  double idle_since;
  size_t out_at; // bytes of `out` that are written
  struct buf out;
  struct buf held; // of the answer, as the fetch is paused
  struct plain_answer answer;
  char name[]; // the host's, or the path of a socket of this machine
};

void plain_pool_init(struct plain_pool *p, struct loop *loop);
void plain_pool_deinit(struct plain_pool *p);

// Begins the transfer's hop, whose addresses are known; on_step may be called before it returns.
void plain_start(struct plain_pool *p, struct transfer *t);

// Goes on with what has been held back, in both directions; on_step as above.
void plain_go_on(struct transfer *t);

// Ends it: the connection is kept where its answer is complete and another may follow, else closed.
void plain_leave(struct transfer *t);
