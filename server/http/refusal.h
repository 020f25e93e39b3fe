// SPDX-License-Identifier: MIT
// Why input is not served: the status to answer with, a short static reason, and which limit it is. Status 0:
// nothing against it.
#pragma once

// What has a series of its own among those that are refused.
enum limit {
  LIMIT_NONE, // it is not as the protocol has it
  LIMIT_HEAD,
  LIMIT_FIELDS,
  LIMIT_TARGET,
  LIMIT_QUERY_PAIRS,
  LIMIT_BODY, // limits.body, limits.upload, or what the script has said
  LIMIT_CHUNK_EXTENSIONS,
  LIMIT_TIMEOUT, // of a head or a body
  LIMIT_CONNECTIONS,
  LIMIT_CONNECTIONS_PER_ADDRESS,
  LIMIT_TASKS,
  LIMIT_LUA_MEMORY,
  LIMIT_RATE,    // spate.rate_limit
  LIMIT_STREAMS, // spate.stream_limit
  LIMIT_DURABLE, // how many streams spate.durable makes
  LIMIT_COUNT
};

struct refusal {
  int status;
  const char *why;
  enum limit limit;
};

#define ACCEPTED              ((struct refusal){0})
#define REFUSED(code, reason) REFUSED_BY(LIMIT_NONE, code, reason)
#define REFUSED_BY(which, code, reason) \
  ((struct refusal){.status = (code), .why = (reason), .limit = (which)})
