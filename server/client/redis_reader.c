// SPDX-License-Identifier: MIT
// The reader is only given what has been scanned, so that an error of its own means lack of memory.
#include "client/redis_reader.h"
#include <stdlib.h>
#include "base/util.h"

void redis_reader_init(struct redis_reader *r) {
  *r = (struct redis_reader){.reader = redisReaderCreate()};
  if (!r->reader) abort();
}

void redis_reader_deinit(struct redis_reader *r) {
  if (r->reader) redisReaderFree(r->reader);
  r->reader = NULL;
}

bool redis_reader_feed(struct redis_reader *r, struct span bytes) {
  if (!r->wrong) r->wrong = redis_scan(&r->scan, bytes);
  if (!r->wrong && redisReaderFeed(r->reader, bytes.bytes, bytes.len) != REDIS_OK)
    r->wrong = "no memory for a reply";
  return !r->wrong;
}

redisReply *redis_reader_next(struct redis_reader *r) {
  void *reply = NULL;
  if (!r->wrong && redisReaderGetReply(r->reader, &reply) != REDIS_OK)
    r->wrong = "a reply that cannot be read";
  return reply;
}

const char *redis_library_version(void) {
  return LITERAL_OF(HIREDIS_MAJOR) "." LITERAL_OF(HIREDIS_MINOR) "." LITERAL_OF(HIREDIS_PATCH);
}
