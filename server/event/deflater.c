// SPDX-License-Identifier: MIT
// zlib with what it needs to be given: always enough room for the whole, since it adds a second marker where
// room ends exactly with the first; never an empty flush behind another, which it calls an error. The memory
// level goes with the window: 55 KB for 8 KiB, 137 KB for 16, 268 KB for 32.
#include "event/deflater.h"
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"
#include "base/util.h"

static const double REST_SECONDS = 60;
enum { LEVEL = 6, MARKER_LEN = 16, STORED_HEAD_LEN = 5, OWN_BYTES = 6144 };

struct deflater {
  z_stream z;
  struct deflater_total *total;
  long bytes;
  double used_at;
};

static int memory_level(int window_bits) { return window_bits == 13 ? 5 : window_bits == 14 ? 7 : 8; }

// What zlib.h says of it, and its tables.
static long bytes_of(int window_bits) {
  return (1L << (window_bits + 2)) + (1L << (memory_level(window_bits) + 9)) + OWN_BYTES;
}

static bool deflater_admit(struct deflater_total *total, long bytes) {
  if ((size_t)(atomic_fetch_add(&total->bytes, bytes) + bytes) <= total->bytes_max) {
    atomic_fetch_add(&total->count, 1);
    return true;
  }
  atomic_fetch_sub(&total->bytes, bytes);
  atomic_fetch_add(&total->refused_total, 1);
  return false;
}

static void *deflater_alloc(void *opaque, unsigned items, unsigned size) {
  (void)opaque;
  return xcalloc(items, size);
}

static void deflater_release(void *opaque, void *memory) {
  (void)opaque;
  free(memory);
}

struct deflater *deflater_new(int window_bits, struct deflater_total *total) {
  long bytes = bytes_of(window_bits);
  if (total && !deflater_admit(total, bytes)) return NULL;
  struct deflater *d = xmalloc(sizeof *d);
  *d = (struct deflater){
      .z = {.zalloc = deflater_alloc, .zfree = deflater_release}, .total = total, .bytes = bytes};
  int result =
      deflateInit2(&d->z, LEVEL, Z_DEFLATED, -window_bits, memory_level(window_bits), Z_DEFAULT_STRATEGY);
  assert(result == Z_OK);
  return d;
}

void deflater_free(struct deflater *d) {
  if (!d) return;
  deflateEnd(&d->z);
  if (d->total) {
    atomic_fetch_sub(&d->total->bytes, d->bytes);
    atomic_fetch_sub(&d->total->count, 1);
  }
  free(d);
}

void deflater_reset(struct deflater *d) { deflateReset(&d->z); }

// At most 1 GiB, which is what a setting allows for an event.
static void deflater_run(struct deflater *d, struct span bytes, int flush, struct buf *out) {
  size_t room = deflateBound(&d->z, bytes.len) + MARKER_LEN;
  assert(bytes.len && room < UINT_MAX);
  d->z.next_out = (unsigned char *)buf_reserve(out, room), d->z.avail_out = (unsigned)room;
  d->z.next_in = (unsigned char *)(uintptr_t)bytes.bytes, d->z.avail_in = (unsigned)bytes.len;
  int result = deflate(&d->z, flush);
  assert(result == (flush == Z_FINISH ? Z_STREAM_END : Z_OK) && !d->z.avail_in && d->z.avail_out);
  out->len += room - d->z.avail_out;
}

void deflater_add(struct deflater *d, struct span bytes, struct buf *out) {
  deflater_run(d, bytes, Z_SYNC_FLUSH, out);
}

void deflater_use(struct deflater *d, double now) { d->used_at = now; }

bool deflater_rests(const struct deflater *d, double now) { return d->used_at + REST_SECONDS <= now; }

void deflate_store(struct span bytes, struct buf *out) {
  while (bytes.len) {
    unsigned n = (unsigned)MIN(bytes.len, (size_t)STORED_MAX);
    char head[STORED_HEAD_LEN] = {0, (char)n, (char)(n >> 8), (char)~n, (char)(~n >> 8)};
    buf_append(out, head, sizeof head);
    buf_append(out, bytes.bytes, n);
    bytes.bytes += n, bytes.len -= n;
  }
}

// The kind is deflate, no time, no system; nothing else is said.
struct span gzip_head(void) {
  static const char head[GZIP_HEAD_LEN] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, (char)0xff};
  return (struct span){head, sizeof head};
}

static char *put_32(char *at, uint32_t n) {
  for (int i = 0; i < 4; i++) *at++ = (char)(n >> (8 * i));
  return at;
}

// Behind an empty last block.
void gzip_end_write(uint32_t crc, uint32_t len, char out[GZIP_END_LEN]) {
  out[0] = 3, out[1] = 0;
  put_32(put_32(out + 2, crc), len);
}

void deflater_gzip(struct deflater *d, struct span bytes, struct buf *out) {
  char sums[8];
  deflateReset(&d->z);
  buf_append_span(out, gzip_head());
  deflater_run(d, bytes, Z_FINISH, out);
  put_32(put_32(sums, gzip_sum(0, bytes)), (uint32_t)bytes.len);
  buf_append(out, sums, sizeof sums);
}

uint32_t gzip_sum(uint32_t crc, struct span bytes) {
  return (uint32_t)crc32_z(crc, (const unsigned char *)bytes.bytes, bytes.len);
}

uint32_t gzip_sum_join(uint32_t crc, uint32_t behind, uint64_t len) {
  return (uint32_t)crc32_combine(crc, behind, (z_off_t)len);
}

const char *deflater_library_version(void) { return zlibVersion(); }
