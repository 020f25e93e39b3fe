// SPDX-License-Identifier: MIT
// What stands for other servers in a spec: a list of stubs, which servers in memory share, and what has been
// asked of each.
#pragma once
#include <lauxlib.h>
#include "base/buf.h"
#include "base/list.h"
#include "client/fetch.h"

struct stub_piece {
  double after; // seconds behind the one before, the first behind the head
  struct span bytes;
};

struct stub_answer {
  double after;     // seconds from the request to the head
  struct buf lines; // of the head, each behind its length; empty: there is none
  struct stub_piece *pieces;
  size_t piece_count;
  struct buf bytes;       // that the pieces are of
  enum fetch_error error; // how it ends
  bool stays_open;        // it does not
};

// What has been asked. Names and values of its fields are pairs of texts behind their lengths.
struct stub_request {
  struct list link; // in its stub
  struct buf method, url, fields, body;
  bool is_closed; // by who asked, before the answer was complete
};

struct stub {
  struct list link; // in the list
  int refs;         // the list's and those of fetches
  char *method, *url;
  struct stub_answer *answers;
  size_t answer_count; // each for a request, the last for all that follow
  struct list requests;
  size_t request_count;
};

struct stubs {
  struct list list;  // the newest first
  struct buf missed; // requests that none stands for, a line each
};

// The list at `index`; raises.
struct stubs *stubs_check(lua_State *L, int index);

// The newest stub for such a request, as a reference; NULL where there is none, which is noted.
struct stub *stubs_find(struct stubs *s, const struct fetch_request *r);
void stub_unref(struct stub *s);

// Notes a request; its answer in *answer. Both live as long as the stub.
struct stub_request *stub_ask(struct stub *s, const struct fetch_request *r,
                              const struct stub_answer **answer);

// Takes the next text off the front of what they are kept in.
bool stub_text_next(struct span *rest, struct span *text);

// Adds `stubs` to the module on top of the stack.
void stubs_open(lua_State *L);
