// SPDX-License-Identifier: MIT
// The fetcher that speaks HTTP to other servers, by libcurl: one per worker, so that connections are used
// again by all of its tasks. Worker thread only.
#pragma once
#include "client/fetch.h"

// Makes it, as a part of the service, whose loop has a poll; its hook is not in the loop yet.
struct fetcher *http_client_new(struct service *s);

// Ends it, after its service's pools; all its fetches have been freed.
void http_client_free(struct fetcher *r);

// Once in a process, before any thread.
void http_client_prepare_process(void);

// The version of the library that runs.
const char *http_client_library_version(void);
