// SPDX-License-Identifier: MIT
// A channel's events, and readers of its compressed stream that begin anywhere, take, leave out, have bytes
// of their own between, rest and end at random; and some that have a window of their own. zlib's reader must
// find in each what it was given, event by event, and at the end its sum.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"
#include "base/util.h"
#include "event/event_text.h"
#include "event/gzip.h"
#include "event/sse.h"

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort(); \
  } while (0)

enum { READERS = 6, PUBLISHED_MAX = 256, TEXT_MAX = 40000 };

struct reader {
  struct gzip gzip;
  z_stream z;
  bool is_on;
  size_t next; // of the published events
};

static struct deflater_total total;
static struct gzip_tools tools;
static struct compressor *compressor;
static struct event *published[PUBLISHED_MAX];
static size_t count;
static struct reader readers[READERS];
static double now;
static char material[TEXT_MAX];

// Letters of few kinds, or many; the same ones come again.
static struct event *event_of(uint8_t what, uint8_t how) {
  size_t len = how < 200 ? (size_t)how * 6 : (size_t)(how - 199) * 700;
  size_t from = (size_t)what * 37 % 512;
  struct sse_fields f = SSE_NO_FIELDS;
  f.data = (struct span){material + from, MIN(len, sizeof material - from)};
  return sse_encode(&f, sse_length(&f));
}

static struct event *comment(void) {
  struct sse_fields f = SSE_NO_FIELDS;
  f.comment = SPAN("");
  return sse_encode(&f, sse_length(&f));
}

// Bytes reach the reader, which has to have `text` of them at once.
static void arrive(struct reader *r, struct span bytes, struct span text, int expected) {
  static char out[TEXT_MAX * 2];
  r->z.next_in = (unsigned char *)(uintptr_t)bytes.bytes, r->z.avail_in = (unsigned)bytes.len;
  r->z.next_out = (unsigned char *)out, r->z.avail_out = sizeof out;
  int result = inflate(&r->z, Z_SYNC_FLUSH);
  REQUIRE(result == expected && !r->z.avail_in);
  REQUIRE(span_equal((struct span){out, sizeof out - r->z.avail_out}, text));
}

static void begin(struct reader *r, uint8_t how) {
  if (r->is_on) return;
  bool is_own = how >= 224;
  *r = (struct reader){.is_on = true, .next = count - MIN((size_t)how % 32, count)};
  gzip_init(&r->gzip, is_own);
  if (!is_own) gzip_share(&r->gzip, compressor_ref(compressor));
  REQUIRE(inflateInit2(&r->z, 16 + MAX_WBITS) == Z_OK);
  arrive(r, gzip_head(), SPAN(""), Z_OK);
}

// Takes the reference.
static void carry(struct reader *r, struct event *e) {
  struct span text = event_text(e);
  char *copy = xmemdup(text.bytes, text.len);
  struct event *form = gzip_form(&r->gzip, e, &tools, now);
  arrive(r, event_text(form), (struct span){copy, text.len}, Z_OK);
  event_unref(form);
  free(copy);
}

static void take(struct reader *r, size_t most) {
  while (r->is_on && most-- && r->next < count) carry(r, event_ref(published[r->next++]));
}

static void finish(struct reader *r, bool is_clean) {
  if (!r->is_on) return;
  if (is_clean) {
    struct event *end = gzip_end(&r->gzip);
    arrive(r, event_text(end), SPAN(""), Z_STREAM_END);
    event_unref(end);
  }
  inflateEnd(&r->z);
  gzip_deinit(&r->gzip);
  r->is_on = false;
}

static void publish(uint8_t what, uint8_t how) {
  if (count == PUBLISHED_MAX) return;
  struct event *e = event_of(what, how);
  forms_place(e, compressor);
  published[count++] = e;
}

static void act(uint8_t what, uint8_t how) {
  struct reader *r = &readers[what / 8 % READERS];
  switch (what % 8) {
  case 0:
  case 1: publish(what, how); break;
  case 2: begin(r, how); break;
  case 3: take(r, how % 8 + 1); break;
  case 4: r->next = MIN(r->next + how % 4, count); break;
  case 5:
    if (r->is_on) carry(r, how % 2 ? comment() : event_of(what, how));
    break;
  case 6: now += how; break;
  default:
    if (how > 200) finish(r, how % 4);
    else
      for (size_t i = 0; i < READERS; i++) take(&readers[i], SIZE_MAX);
  }
  REQUIRE((size_t)atomic_load(&total.bytes) <= total.bytes_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2) return 0;
  unsigned seed = bytes[1];
  for (size_t i = 0; i < sizeof material; i++) {
    seed = seed * 1103515245 + 12345;
    material[i] = (char)('a' + (seed >> 16) % (bytes[0] / 8 % 26 + 1));
  }
  total = (struct deflater_total){.bytes_max = bytes[0] % 8 * 60000};
  tools = (struct gzip_tools){.total = &total, .window_bits = WINDOW_BITS_MIN + bytes[0] % 3};
  compressor = compressor_new(WINDOW_BITS_MIN + bytes[1] % 3, &total);
  count = 0, now = 0;
  for (size_t i = 2; i + 1 < len; i += 2) act(bytes[i], bytes[i + 1]);
  for (size_t i = 0; i < READERS; i++) take(&readers[i], SIZE_MAX), finish(&readers[i], true);
  for (size_t i = 0; i < count; i++) event_unref(published[i]);
  compressor_unref(compressor);
  deflater_free(tools.alone);
  REQUIRE(event_count() == 0 && event_form_bytes() == 0 && total.bytes == 0 && total.count == 0);
  return 0;
}
