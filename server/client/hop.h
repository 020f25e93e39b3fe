// SPDX-License-Identifier: MIT
// Where a request goes, and with what: copied from what was asked for, and changed by each redirect that is
// followed. Knows URLs and fields, and no connection.
#pragma once
#include <curl/curl.h>
#include "client/fetch.h"

struct hop {
  CURLU *url; // NULL where it was asked for in parts
  char *method;
  char *host;   // of the url, without brackets
  char *target; // its path, and its query
  unsigned port;
  bool is_secure;
  struct buf fields; // lines: "Name: value" and CRLF
  enum fetch_body body_kind;
  struct buf body;
  int64_t body_length; // of one in pieces; < 0: not known
  char *user, *password;
  char *ca, *cert, *key, *unix_path;
  unsigned redirects;          // that may still be followed
  bool redirects_are_followed; // 0 were asked for: a redirect is an answer
  bool refuses_private, is_unverified, wants_certificate;
  double connect, idle, total; // seconds
};

// Copies what is asked for. FETCH_URL where that is no URL of http or https: `h` is to be deinited in any
// case.
enum fetch_error hop_init(struct hop *h, const struct fetch_request *request);
void hop_deinit(struct hop *h);

// The url as a text, the caller's.
char *hop_url(const struct hop *h);

// Takes the first field off `rest`, which are the hop's; false: there is none.
bool hop_next_field(struct span *rest, struct field *f);

// Whether it says how long its body is, and be it empty; whether it may change something each time that it is
// made, and so is not made again by itself.
bool hop_has_body(const struct hop *h);
bool hop_is_once(const struct hop *h);

// True where the answer's status and Location say where else to ask.
bool hop_is_redirect(int status, struct span location);

// Goes on to where they say: by GET where the method changes, without what may be a credential where that is
// another host. FETCH_REDIRECTS where none may be followed any more, or this one not.
enum fetch_error hop_follow(struct hop *h, int status, struct span location);
