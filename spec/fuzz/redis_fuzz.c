// SPDX-License-Identifier: MIT
// Bytes of a Redis server as they stand, byte by byte, and cut where the input says: which replies are read,
// and what is refused, must not depend on that. What the scan lets through the reader must read, and a reply
// must be complete for both at the same byte.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "client/redis_code.h"
#include "client/redis_reader.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

static void see(struct buf *b, const redisReply *r) {
  struct span text = redis_text(r);
  buf_printf(b, "%d:%lld:%zu:", r->type, r->type == REDIS_REPLY_INTEGER ? r->integer : 0, text.len);
  buf_append_span(b, text);
  if (r->type != REDIS_REPLY_ARRAY) return;
  buf_printf(b, "%zu:", (size_t)r->elements);
  for (size_t i = 0; i < (size_t)r->elements; i++) see(b, r->element[i]);
}

// `step` 0: all at once. Whether all of it was right.
static bool read_all(struct span bytes, size_t step, struct buf *seen) {
  struct redis_reader reader;
  redis_reader_init(&reader);
  if (!step) step = bytes.len + 1;
  for (size_t at = 0; at < bytes.len && !reader.wrong; at += step) {
    size_t len = MIN(step, bytes.len - at);
    char *copy = malloc(len); // whose end is watched
    memcpy(copy, bytes.bytes + at, len);
    bool ok = redis_reader_feed(&reader, (struct span){copy, len});
    free(copy);
    bool has_reply = false;
    for (redisReply *r; ok && (r = redis_reader_next(&reader)); has_reply = true) {
      see(seen, r);
      redis_code_of(r);
      freeReplyObject(r);
    }
    REQUIRE(ok == !reader.wrong);
    REQUIRE(!ok || step > 1 || redis_scan_is_between(&reader.scan) == has_reply);
  }
  bool ok = !reader.wrong;
  redis_reader_deinit(&reader);
  return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 1) return 0;
  struct span text = {(const char *)bytes + 1, len - 1};
  struct buf whole = {0}, single = {0}, cut = {0};
  bool ok = read_all(text, 0, &whole);
  REQUIRE(read_all(text, 1, &single) == ok);
  REQUIRE(read_all(text, (size_t)bytes[0] + 1, &cut) == ok);
  REQUIRE(!ok ||
          (span_equal(buf_span(&whole), buf_span(&single)) && span_equal(buf_span(&cut), buf_span(&single))));
  buf_deinit(&whole);
  buf_deinit(&single);
  buf_deinit(&cut);
  return 0;
}
