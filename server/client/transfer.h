// SPDX-License-Identifier: MIT
// One fetch on its way: where it goes, what has been noted of it, and what it is carried by, libcurl
// (client/easy) or a connection of ours (client/plain). Worker thread only.
#pragma once
#include <curl/curl.h>
#include "client/fetch.h"
#include "client/hop.h"
#include "client/resolve.h"
#include "loop/timer.h"

enum transfer_state {
  TRANSFER_WAITING,   // in the client's list: to be started, or ended by what is known already
  TRANSFER_RESOLVING, // its host is looked up
  TRANSFER_RUNNING,   // in the multi handle, or on a connection of ours
  TRANSFER_ENDED      // its user has been told
};

struct plain;

struct transfer {
  struct fetch fetch;
  struct hop hop;
  CURL *easy; // NULL until libcurl is to carry it
  struct plain
      *plain;    // the connection of ours that carries it, or the last of those that are tried; NULL: none
  bool is_plain; // libcurl does not carry the hop
  unsigned address_at; // of `resolved`: the next to be tried
  struct lookup lookup;
  struct resolved resolved; // the host's addresses that may be connected to
  bool has_resolved;
  struct curl_slist *resolve; // the same as libcurl wants them
  struct curl_slist *fields;  // of the hop, as it wants those
  struct list link;           // in a list of the client
  enum transfer_state state;
  bool is_doomed;             // its user has left while libcurl runs it: to be freed behind that
  bool is_held;               // who carries it keeps bytes that were not taken, as the fetch is paused
  bool is_starved;            // who carries it waits for more of the body that is sent
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

// Frees it; nothing carries it any more.
void transfer_free(struct transfer *t);

// At the beginning of a hop: nothing has come yet.
void transfer_begin(struct transfer *t);

// Whether private addresses are refused, by the request or the setting.
bool transfer_refuses_private(const struct transfer *t);

// Whether a proxy of the environment is between us and servers of the one kind or the other.
bool transfer_has_proxy(bool is_secure);

// Whether the hop's host is to be looked up before: not where it is an address, a socket of this machine, or
// for a proxy to find.
bool transfer_needs_name(const struct transfer *t, bool has_proxy);

// Takes an address that stands in the url, or refuses it, as t->error says then.
void transfer_check_literal(struct transfer *t);

// Takes the answer. Where nothing of it may be connected to, t->error says why.
void transfer_take_name(struct transfer *t, const struct resolved *found);

// Whether the hop is to be carried by a connection of ours: HTTP/1.1 without TLS, a proxy or a password.
bool transfer_is_plain(const struct transfer *t, bool has_proxy);

// A line of the answer's head, without its end, which is an empty one; false where the transfer is to end,
// and t->error may say why. A trailer's lines are passed over.
bool transfer_take_line(struct transfer *t, struct span line);

// Bytes of its body, of a fetch that is not paused; false as above.
bool transfer_take_body(struct transfer *t, struct span bytes);

// Takes up to `max` bytes of the body that is sent, and tells of room; 0: there is none now, t->is_starved,
// or that was all.
size_t transfer_take_upload(struct transfer *t, char *into, size_t max);

// There is a connection, to `peer`. False where that must not be asked, t->error says why.
bool transfer_note_connected(struct transfer *t, const struct address *peer);

// Notes why it is to end; the first reason is kept. False.
bool transfer_give_up(struct transfer *t, enum fetch_error error);

// When it has taken too long, as it stands now; INFINITY: never. What for, in `what`.
double transfer_deadline(const struct transfer *t, const char **what);

// Arms the timer for that; to be called where it may have become earlier.
void transfer_watch(struct transfer *t);
