// SPDX-License-Identifier: MIT
// An answer of HTTP/1 as a connection of ours has it: where its head ends, how its body is framed, and
// whether another may follow. The transfer is told of both. Worker thread only.
#pragma once
#include "client/transfer.h"
#include "http/chunked.h"

enum answer_state {
  ANSWER_STATUS,   // before the status line, of an interim answer as well
  ANSWER_HEAD,     // in the fields
  ANSWER_LENGTH,   // in a body of a known length
  ANSWER_CHUNKED,  // in one of chunks
  ANSWER_TRAILER,  // in the fields behind those
  ANSWER_TO_CLOSE, // in one that ends with the connection
  ANSWER_DONE
};

enum answer_outcome {
  ANSWER_GOES_ON, // all was taken
  ANSWER_HELD,    // what is left is to be taken once the fetch is no longer paused
  ANSWER_COMPLETE,
  ANSWER_REFUSED // t->error, or t->is_doomed, or a redirect whose body nobody waits for
};

struct plain_answer {
  uint8_t state; // enum answer_state
  bool has_begun;
  bool is_old;     // HTTP/1.0
  bool keeps;      // the connection may carry another
  uint8_t interim; // answers before the one that counts
  uint64_t left;   // of ANSWER_LENGTH
  size_t trailer;  // bytes
  struct buf line; // one whose end has not come
  struct chunked chunked;
};

// Waits for an answer on a connection whose last one is done; keeps its memory.
void plain_answer_begin(struct plain_answer *a);
void plain_answer_deinit(struct plain_answer *a);

// Takes bytes off the front of `in`.
enum answer_outcome plain_answer_take(struct plain_answer *a, struct transfer *t, struct span *in);
