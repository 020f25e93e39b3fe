// SPDX-License-Identifier: MIT
// Replies out of a Redis server's bytes: hiredis's reader behind redis_scan. Any thread, one at a time.
#pragma once
#include <hiredis/hiredis.h>
#include "client/redis_scan.h"

struct redis_reader {
  struct redis_scan scan;
  redisReader *reader;
  const char *wrong; // static; NULL: nothing so far
};

void redis_reader_init(struct redis_reader *r);

// Frees what it has; harmless where it has been done, or was never made of anything but zeros.
void redis_reader_deinit(struct redis_reader *r);

// Takes what has come. False where it is not what a server says, as `wrong` tells: replies that were complete
// before that are lost as well.
bool redis_reader_feed(struct redis_reader *r, struct span bytes);

// The next reply, for freeReplyObject; NULL where more has to come, or something is wrong.
redisReply *redis_reader_next(struct redis_reader *r);

// The version of the library that this was built with, static: it does not say its own.
const char *redis_library_version(void);

// The bytes of a string, a status or an error; { NULL } of anything else.
static inline struct span redis_text(const redisReply *r) {
  bool is_text =
      r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS || r->type == REDIS_REPLY_ERROR;
  return is_text ? (struct span){r->str, (size_t)r->len} : (struct span){0};
}
