// SPDX-License-Identifier: MIT
// Where a request goes, and with what: copied from what was asked for, and changed by each redirect that is
// followed. Knows URLs and fields, and no connection.
#pragma once
#include <curl/curl.h>
#include "client/fetch.h"

struct hop {
  CURLU *url;
  char *method;
  char *host; // of the url, without brackets
  unsigned port;
  bool is_secure;
  struct curl_slist *fields; // "Name: value"
  enum fetch_body body_kind;
  struct buf body;
  int64_t body_length; // of one in pieces; < 0: not known
  char *user, *password;
  char *ca, *cert, *key, *unix_path;
  unsigned redirects;          // that may still be followed
  bool redirects_are_followed; // 0 were asked for: a redirect is an answer
  bool refuses_private, is_unverified;
  double connect, idle, total; // seconds
};

// Copies what is asked for. FETCH_URL where that is no URL of http or https: `h` is to be deinited in any
// case.
enum fetch_error hop_init(struct hop *h, const struct fetch_request *request);
void hop_deinit(struct hop *h);

// True where the answer's status and Location say where else to ask.
bool hop_is_redirect(int status, struct span location);

// Goes on to where they say: by GET where the method changes, without what may be a credential where that is
// another host. FETCH_REDIRECTS where none may be followed any more, or this one not.
enum fetch_error hop_follow(struct hop *h, int status, struct span location);
