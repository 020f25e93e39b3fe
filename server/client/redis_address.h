// SPDX-License-Identifier: MIT
// Where a Redis server is, and as whom to speak to it, out of a URL:
//   redis://[[user]:password@]host[:port][/db]    rediss://: the same over TLS
//   unix://[[user]:password@]/path[?db=n]         a socket in the file system
//   redis+sentinel://host[:port],host.../name[/db]  the master of this name, as sentinels know it
//   redis+cluster://host[:port],host...           the nodes of a cluster; rediss+... over TLS as well
// Any thread.
#pragma once
#include <stdbool.h>
#include "base/span.h"

enum { REDIS_HOSTS_MAX = 16, REDIS_URL_OPTIONS_MAX = 16, REDIS_PORT = 6379, REDIS_SENTINEL_PORT = 26379 };

enum redis_kind { REDIS_SINGLE, REDIS_UNIX, REDIS_SENTINEL, REDIS_CLUSTER };

struct redis_host {
  char *name; // without brackets
  unsigned port;
};

struct redis_address {
  enum redis_kind kind;
  bool is_secure;
  struct redis_host hosts[REDIS_HOSTS_MAX];
  unsigned host_count;
  char *path;            // of REDIS_UNIX
  char *user, *password; // NULL: none
  char *master;          // of REDIS_SENTINEL
  unsigned db;
  char *ca, *cert, *key;                   // paths, of TLS; NULL: what the system trusts, none
  char *sentinel_user, *sentinel_password; // NULL: none
  bool is_unverified;                      // whatever certificate the server has
  struct redis_url_option {
    char *name, *value;
  } options[REDIS_URL_OPTIONS_MAX]; // of the URL that are none of ours (prefix=spate), for whoever knows them
  unsigned option_count;
  struct span wrong_port; // for redis_address_init alone
  char why[112];          // likewise
};

// Reads a URL. NULL, or what is wrong, borrowed from the address, without any of the URL but a port: it has a
// password in it. The address is to be deinited in any case.
const char *redis_address_init(struct redis_address *a, struct span url);
void redis_address_deinit(struct redis_address *a);

// Takes an option out of those that are left: its value, the caller's; NULL where the URL has none of this
// name.
char *redis_address_take(struct redis_address *a, const char *name);
