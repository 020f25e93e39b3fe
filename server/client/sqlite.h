// SPDX-License-Identifier: MIT
// An SQLite file that a worker has open. What it is asked is done by one thread of the pool at a time, in the
// order in which it was asked, and told when it has come home. Home's thread only.
#pragma once
#include "client/sqlite_connection.h"
#include "loop/pool.h"

struct service;
struct sqlite;

enum sqlite_call_state { SQLITE_CALL_HELD, SQLITE_CALL_QUEUED, SQLITE_CALL_RUNNING, SQLITE_CALL_DONE };

// A question on its way. Its maker's until it is queued, and once it is done.
struct sqlite_call {
  struct sqlite_question question;
  struct list link; // in the file's queue
  struct sqlite *sqlite;
  enum sqlite_call_state state;
  void (*on_done)(struct sqlite_call *c); // NULL: nobody waits, and it is freed
  void (*free)(struct sqlite_call *c);
};

struct sqlite_limits {
  size_t queue; // calls that wait
};

// Takes the configuration's texts. Nothing is opened before the first call. NULL where the worker has as many
// as it may.
struct sqlite *sqlite_new(struct service *s, struct sqlite_config *config, struct sqlite_limits limits);

// Closes the file, on a thread: what runs is stopped, what waits is done with the code "closed".
void sqlite_close(struct sqlite *s);

// Frees a configuration's texts.
void sqlite_config_deinit(struct sqlite_config *config);

// Has a call be done. False: too much waits already, and the call is the caller's as before.
bool sqlite_submit(struct sqlite *s, struct sqlite_call *c);

// The same of one that nobody waits for and that no limit refuses; takes the call.
void sqlite_post(struct sqlite *s, struct sqlite_call *c);

// Its time is up: it ends with the code "timeout", as soon as it can where it runs, unless it is done before.
void sqlite_call_stop(struct sqlite_call *c);

// Nobody waits for it any more: it is freed, once it has been stopped where it runs.
void sqlite_call_leave(struct sqlite_call *c);
