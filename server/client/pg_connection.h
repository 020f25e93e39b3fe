// SPDX-License-Identifier: MIT
// A connection to a PostgreSQL server, by libpq without waiting: it connects, is asked one thing after
// another and is cleaned for the next who has it. Its host's name is looked up by us. The loop's thread only.
#pragma once
#include "client/resolve.h"
#include "client/values.h"
#include "loop/timer.h"
#include "loop/watch.h"

struct pg_cancel;
struct pg_conn;
struct pg_lease;
struct pg_pool;
struct service;

struct pg_config {
  struct buf parameters; // of the connection: texts, a keyword before each value
  char *host;            // that is connected to; one that begins with '/' is a folder of sockets
  double connect;        // seconds until there is a connection
  bool prepares;         // whether statements are kept prepared
};

void pg_config_deinit(struct pg_config *c);

// Reads a URI or "keyword=value ..." (libpq's forms), with more of both behind it (texts, a keyword before
// each value) that go before: 0; -1 and why not in `why`.
int pg_config_read(struct pg_config *c, const char *conninfo, struct span more, struct buf *why);

// Writes what a server and its database are called in lists: host/database, cut at `size`.
void pg_config_name(const struct pg_config *c, char *to, size_t size);

enum pg_state {
  PG_CONNECTING,
  PG_READY,    // to be asked
  PG_ASKED,    // the answer is coming, or waits to be taken
  PG_CLEANING, // what its last user has left behind is ended
  PG_LOST      // for good; `why` says it
};

struct pg_question {
  struct buf sql;        // with a NUL at its end
  struct buf parameters; // values: texts and nulls
  size_t parameter_count;
  bool is_plain; // never prepared
};

// Of what was asked, as far as it has been taken.
struct pg_answer {
  struct buf columns; // texts, the name of each, and an integer behind it: the OID of its type
  struct buf rows;    // texts and nulls, one row behind another
  size_t column_count, row_count;
  size_t rows_max, bytes_max; // the page is full at these
  bool is_full, is_over;
  int64_t changes;
  char tag[16];             // of the command that was done, such as "COMMIT"
  struct buf message;       // where it has failed
  char sqlstate[6];         // "": it has not, or the connection was lost
  bool has_failed, is_lost; // the latter: with the connection
};

void pg_question_deinit(struct pg_question *q);
void pg_answer_deinit(struct pg_answer *a);

// Empties it for another question; its limits stay.
void pg_answer_reset(struct pg_answer *a);

struct pg_notice {
  struct list link;
  struct buf channel, payload;
};

struct pg_connection {
  struct list link; // its owner's
  struct service *service;
  const struct pg_config *config;
  void (*on_news)(struct pg_connection *c); // the state or the answer is another. It may free the connection
  enum pg_state state;
  struct pg_conn *conn;
  struct watch watch;
  struct timer timer;
  struct lookup lookup;
  struct resolver *resolver;
  struct pg_cancel *cancel;     // under way
  struct pg_question *question; // its user's, until it has been sent
  struct pg_answer *answer;     // its user's, while it is asked
  bool is_polling, is_preparing, is_by_name, rolls_back;
  bool keeps_notices;    // else they are dropped
  bool has_lost_notices; // too many came before they were taken
  struct list notices;   // struct pg_notice
  size_t notice_bytes;
  struct list statements; // that are prepared
  size_t statement_count;
  uint64_t statement_number;
  char why[256];          // of LOST
  struct pg_pool *pool;   // of whoever hands it out, as is
  struct pg_lease *lease; // its user; or NULL
  bool is_new, is_given_back;
  double idle_since;
};

// Begins to connect. The configuration and the resolver outlive it.
struct pg_connection *pg_connection_new(struct service *s, const struct pg_config *config,
                                        struct resolver *resolver, void (*on_news)(struct pg_connection *c));

void pg_connection_free(struct pg_connection *c);

// Asks; question and answer are the caller's, and stay until the answer is over or the connection is cleaned.
// READY only.
void pg_connection_ask(struct pg_connection *c, struct pg_question *q, struct pg_answer *a);

// Goes on behind a full page, which the caller has emptied.
void pg_connection_more(struct pg_connection *c);

// Its user has left: what runs is cancelled, what is open rolled back; then it is READY, or LOST.
void pg_connection_clean(struct pg_connection *c);

// What was notified first, borrowed; NULL: nothing. Frees that.
struct pg_notice *pg_connection_peek_notice(struct pg_connection *c);
void pg_connection_drop_notice(struct pg_connection *c);

// The version of the library, static.
const char *pg_library_version(void);
