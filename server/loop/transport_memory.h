// SPDX-License-Identifier: MIT
// A connection without a socket: both ends in memory, moved by hand. It lets a spec stall a reader, cut a
// connection, delay what is sent and see bytes without a descriptor or a moment of waiting.
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include "loop/batch.h"
#include "loop/transport.h"

// A system call of the server's that fails.
struct memory_fault {
  size_t in;       // so many calls; 0: none does
  bool is_for_now; // EINTR, and it is made again; else the connection is broken
};

struct memory_peer {
  struct transport transport; // the server's end
  struct buf to_server, to_client;
  size_t window;                                // bytes that the client still takes
  size_t piece;                                 // at most so many bytes per read of the server
  size_t step;                                  // at most so many bytes leave at a time
  size_t bound;                                 // what the server has bound it to; 0: nothing
  bool is_late;                                 // nothing leaves at once, all is told of by on_sent
  bool is_closed;                               // it does not carry bytes yet
  size_t writes;                                // of the server that took bytes
  bool client_ended, client_left, client_reset; // its side; both sides, so that it takes nothing; by a cut
  bool server_ended, server_closed, server_reset;
  size_t read_len;
  struct batch *batch; // that sends go by while it is open; NULL: none
  struct batched batched;
  struct memory_fault send_fault, read_fault;
  struct manual_clock *clock; // NULL: none; each write that takes bytes moves it by so much
  double write_seconds;
  struct outq flight; // what has not left, behind flight_at bytes that have
  size_t flight_at;
};

// Makes the peer ready with an open window; it outlives the server's close and is freed by
// memory_peer_deinit.
void memory_peer_init(struct memory_peer *p);
void memory_peer_deinit(struct memory_peer *p);

// Ends what opening waits for, as the end of a handshake does.
void memory_peer_open(struct memory_peer *p);

// Makes the upward calls that are due. True where there was one.
bool memory_peer_poll(struct memory_peer *p);
