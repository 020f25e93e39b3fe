// SPDX-License-Identifier: MIT
// What carries a connection's bytes: a socket in the server, memory under test. What it has been given
// belongs to it until it has left. Worker thread only.
#pragma once
#include <sys/types.h>
#include <sys/uio.h>
#include "base/address.h"
#include "loop/loop.h"

enum { OUTQ_MAX = 256 };

// What goes to a transport at once: pieces of memory, or without any a part of a file.
struct outq {
  struct iovec iov[OUTQ_MAX];
  int count;
  size_t len; // of all of it
  int fd;     // where `count` is 0
  uint64_t offset;
  bool is_share; // a part of a file is in it: others have their turn before the next
  bool has_more; // there was no room for all that waits
  bool is_last;  // it has the last of its stream
};

enum transport_error { TRANSPORT_BROKEN = -1, TRANSPORT_FILE_SHORT = -2 }; // a file that ends before its part

enum protocol { PROTOCOL_HTTP1, PROTOCOL_HTTP2, PROTOCOL_MUX }; // the last is of the harness

struct transport;

// Upward. Any of them may close the transport.
struct transport_sink {
  void (*on_open)(struct transport *t);                     // it carries bytes from now on; its peer is known
  void (*on_bytes)(struct transport *t, struct span bytes); // borrowed
  void (*on_sent)(struct transport *t,
                  size_t len);         // so much of what it was given has left since; 0: queued in vain
  void (*on_end)(struct transport *t); // the peer has ended its side
  void (*on_error)(struct transport *t, enum transport_error why);
};

struct transport_ops {
  void (*open)(struct transport *t); // once its sink is set
  // Takes all of `q`, while nothing is in flight. Returns how many bytes have left at once, or an error; of
  // the others on_sent tells, and their memory and file stay as they are until then, or until close. Where it
  // sets is_queued they leave with those of others by one call into the kernel, still in this turn.
  ssize_t (*send)(struct transport *t, const struct outq *q);
  void (*want_read)(struct transport *t, size_t len); // at most so many bytes at a time; 0: none for now
  bool (*read_now)(struct transport *t); // what has come already, by on_bytes; false where that is nothing
  void (*end)(struct transport *t);      // our side, behind what has left
  void (*close)(struct transport *t, bool reset);   // frees it; `reset`: the peer sees an error, not an end
  void (*bound)(struct transport *t, size_t bytes); // that the kernel may keep unsent for the peer
};

struct transport {
  const struct transport_ops *ops;
  const struct transport_sink *sink; // set by its user, as is
  void *owner;
  struct address peer;
  uint8_t protocol; // enum protocol that both sides have agreed to speak
  bool takes_files; // else only memory
  bool is_queued; // what it was given is in the loop's batch: on_sent tells, or on_error, when that is closed
  bool is_secure; // what it carries is encrypted (TLS)
  uint16_t redirect_port; // set by its user: requests are sent on to https there; 0: they are served
};

// A transport over a connected, non-blocking socket; takes `fd`. Sink and owner are for its user to set.
struct transport *transport_socket_new(struct loop *l, int fd);
