// SPDX-License-Identifier: MIT
// Bytes made into blocks of a raw deflate stream (RFC 1951), each of which can be read as soon as it is there
// and ends where a byte does. One thread at a time.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

// What the deflaters of a process have together; the most that they may have.
struct deflater_total {
  atomic_long count, bytes;
  atomic_ulong refused_total; // not made for lack of room
  size_t bytes_max;
};

// What is longer goes as it is: compressing it would hold up the loop for too long.
enum { COMPRESSED_MAX = 1 << 20 };

enum { WINDOW_BITS_MIN = 13, WINDOW_BITS_MAX = 15, STORED_MAX = 65535 };

struct deflater;

// A deflater that looks back 1 << window_bits bytes. NULL where there is no room left in `total`, which is
// borrowed; without one (NULL) it is not counted. The caller owns it.
struct deflater *deflater_new(int window_bits, struct deflater_total *total);
void deflater_free(struct deflater *d); // NULL is allowed

// Forgets all that it has been given.
void deflater_reset(struct deflater *d);

// Appends blocks of these bytes (not none) to `out`, which may refer to bytes that it has been given before.
void deflater_add(struct deflater *d, struct span bytes, struct buf *out);

// Whether it is in use: for a minute from the time of this call, of the monotonic clock.
void deflater_use(struct deflater *d, double now);
bool deflater_rests(const struct deflater *d, double now);

// The same as blocks that hold the bytes as they are: what any reader takes at any block's end.
void deflate_store(struct span bytes, struct buf *out);

// Appends a whole gzip file (RFC 1952) of these bytes, and of nothing that was given before. What follows has
// to reset it.
void deflater_gzip(struct deflater *d, struct span bytes, struct buf *out);

// A gzip file's head; and its end behind so many bytes (modulo 1 << 32) with this sum.
enum { GZIP_HEAD_LEN = 10, GZIP_END_LEN = 10 };
struct span gzip_head(void);
void gzip_end_write(uint32_t crc, uint32_t len, char out[GZIP_END_LEN]);

// zlib's.
const char *deflater_library_version(void);

// The sum of `bytes` behind others of the sum `crc` (0: none); and of others of the sum `crc` with `len`
// bytes of the sum `behind` following.
uint32_t gzip_sum(uint32_t crc, struct span bytes);
uint32_t gzip_sum_join(uint32_t crc, uint32_t behind, uint64_t len);
