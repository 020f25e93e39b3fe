// SPDX-License-Identifier: MIT
// One fetch as libcurl does it: an easy handle, what it was told, and what its callbacks have noted. Nothing
// here touches the multi handle: callbacks only copy and link. Worker thread only.
#pragma once
#include <curl/curl.h>
#include "client/fetch.h"
#include "client/hop.h"
#include "client/resolve.h"
#include "loop/timer.h"

enum transfer_state {
  TRANSFER_WAITING,   // in the client's list: to be started, or ended by what is known already
  TRANSFER_RESOLVING, // its host is looked up
  TRANSFER_RUNNING,   // in the multi handle
  TRANSFER_ENDED      // its user has been told
};

struct transfer {
  struct fetch fetch;
  struct hop hop;
  CURL *easy;
  struct lookup lookup;
  struct resolved resolved; // the host's addresses that may be connected to
  bool has_resolved;
  struct curl_slist *resolve; // the same as libcurl wants them
  struct list link;           // in a list of the client
  enum transfer_state state;
  bool is_doomed;             // its user has left while libcurl runs it: to be freed behind that
  bool is_held;               // libcurl keeps bytes that were not taken, as the fetch is paused
  bool is_starved;            // libcurl waits for more of the body that is sent
  bool has_connected;         // or has got a connection that was there
  bool is_once;               // not to be repeated where a connection breaks
  bool is_redirect;           // the answer that comes now
  size_t discarded;           // bytes of its body
  enum fetch_error error;     // why a callback has ended it; FETCH_OK: none has
  size_t body_at;             // of hop.body: what the server has taken
  struct timer timer;         // of whatever may be due first
  double asked_at;            // seconds of the loop
  double began_at, active_at; // of this hop
  char text[CURL_ERROR_SIZE];
};

struct transfer *transfer_new(struct fetcher *r, const struct fetch_request *request);

// Frees it; it is in no multi handle.
void transfer_free(struct transfer *t);

// At the beginning of a hop: nothing has come yet.
void transfer_begin(struct transfer *t);

// Whether the hop's host is to be looked up before: not where it is an address, a socket of this machine, or
// for a proxy to find.
bool transfer_needs_name(const struct transfer *t);

// Refuses an address that stands in the url, as t->error says then.
void transfer_check_literal(struct transfer *t);

// Takes the answer. False where nothing of it may be connected to: t->error says why.
bool transfer_take_name(struct transfer *t, const struct resolved *found);

// Tells the easy handle all that it has to know for the hop; `bundle`: the certificates that the system
// trusts.
void transfer_prepare(struct transfer *t, const char *bundle);

// Goes on with what has been held back, in both directions, as the fetch now wants it. Calls the sink.
void transfer_go_on(struct transfer *t);

// What the result means for the fetch, and a text for people in t->text.
enum fetch_error transfer_error(struct transfer *t, CURLcode result);

// When it has taken too long, as it stands now; INFINITY: never. What for, in `what`.
double transfer_deadline(const struct transfer *t, const char **what);

// Arms the timer for that; to be called where it may have become earlier.
void transfer_watch(struct transfer *t);
