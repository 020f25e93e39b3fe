// SPDX-License-Identifier: MIT
// The fetcher of specs: no request leaves the process. Stubs answer, as the server's time goes on.
#pragma once
#include "client/fetch.h"

struct stubs;

struct stub_fetcher {
  struct fetcher fetcher;
  struct stubs *stubs; // NULL: there are none
  struct list waiting; // fetches that may have something to tell
};

// Makes it the service's. The stubs outlive it.
void stub_fetcher_init(struct stub_fetcher *s, struct service *service, struct stubs *stubs);
void stub_fetcher_deinit(struct stub_fetcher *s);
