// SPDX-License-Identifier: MIT
// What became of a command to a Redis server, as one word.
#pragma once
#include <hiredis/hiredis.h>
#include "base/span.h"

enum redis_code {
  REDIS_CODE_OK,
  REDIS_CODE_UNAVAILABLE, // nothing was sent: no server, or too much waits
  REDIS_CODE_UNKNOWN, // it was sent, and the link was lost, or nothing came in time: it may have been done
  REDIS_CODE_CLOSED,  // by us: the connection was closed before it was sent
  // What a server answers; nothing was done.
  REDIS_CODE_LOADING, // it starts, is blocked by a script, or its cluster is not complete: later
  REDIS_CODE_READONLY,
  REDIS_CODE_MOVED, // another node of the cluster has the key
  REDIS_CODE_ASK,
  REDIS_CODE_NOSCRIPT, // no such script, or no such function
  REDIS_CODE_OOM,
  REDIS_CODE_NOREPLICAS,
  REDIS_CODE_MISCONF,
  REDIS_CODE_NOAUTH,
  REDIS_CODE_WRONGPASS,
  REDIS_CODE_NOPERM,
  REDIS_CODE_WRONGTYPE,
  REDIS_CODE_ERROR // anything else, such as ERR
};

// Of a reply: REDIS_CODE_OK unless it is an error.
enum redis_code redis_code_of(const redisReply *reply);

// "unavailable" and so on, static: what scripts get.
const char *redis_code_name(enum redis_code code);
