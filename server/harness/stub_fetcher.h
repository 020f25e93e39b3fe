// SPDX-License-Identifier: MIT
// The fetcher of specs: no request leaves the process.
#pragma once
#include "client/fetch.h"

struct stub_fetcher {
  struct fetcher fetcher;
  struct list waiting; // fetches that are not answered
};

// Makes it the service's.
void stub_fetcher_init(struct stub_fetcher *s, struct service *service);
void stub_fetcher_deinit(struct stub_fetcher *s);
