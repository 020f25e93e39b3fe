// SPDX-License-Identifier: MIT
// zlib's reader. A few bytes may hold a thousand times as many, so whoever feeds it says how many it takes.
#include "event/inflater.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"

enum { ANY_WINDOW_BITS = 32 + 15, PIECE = 16 << 10 };

struct inflater {
  z_stream z;
  bool has_ended;
};

struct inflater *inflater_new(void) {
  struct inflater *i = xcalloc(1, sizeof *i);
  int result = inflateInit2(&i->z, ANY_WINDOW_BITS);
  assert(result == Z_OK); // else there is no memory, which ends the process elsewhere too
  return i;
}

void inflater_free(struct inflater *i) {
  if (!i) return;
  inflateEnd(&i->z);
  free(i);
}

bool inflater_has_ended(const struct inflater *i) { return i->has_ended; }

static const char *refusal(const struct inflater *i, int result) {
  if (result == Z_STREAM_END) return "bytes behind the end";
  return i->z.msg ? i->z.msg : zError(result);
}

const char *inflater_feed(struct inflater *i, struct span bytes, size_t max, struct buf *out) {
  int result = Z_OK;
  if (!bytes.len) return NULL;
  if (i->has_ended) return refusal(i, Z_STREAM_END);
  i->z.next_in = (unsigned char *)(uintptr_t)bytes.bytes, i->z.avail_in = (unsigned)bytes.len;
  do {
    i->z.next_out = (unsigned char *)buf_reserve(out, PIECE), i->z.avail_out = PIECE;
    result = inflate(&i->z, Z_SYNC_FLUSH);
    out->len += PIECE - i->z.avail_out;
    if (out->len > max) return "more than is taken at a time";
  } while (result == Z_OK && (i->z.avail_in || !i->z.avail_out));
  i->has_ended = result == Z_STREAM_END;
  bool is_fine = result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END;
  return is_fine && !i->z.avail_in ? NULL : refusal(i, result);
}
