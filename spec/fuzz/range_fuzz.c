// SPDX-License-Identifier: MIT
// The input is a size, then header fields, a line each. Whatever they say, ranges lie within the size, are
// few and share no byte, and the body that is made of them has the length and the bytes that it announces.
// Conditions and codings are read as well; what they promise is checked against each other.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "http/conditional.h"
#include "http/negotiation.h"
#include "http/range.h"
#include "serve/file_body.h"

#define CHECK(condition) \
  if (!(condition)) __builtin_trap()

enum { FIELDS = 8, FILE_LEN = 4096 };

static char content[FILE_LEN];

static int file_of(size_t len) {
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  CHECK(fd >= 0 && write(fd, content, len) == (ssize_t)len);
  return fd;
}

// Reads a body in steps of `step` bytes; each range must be in it as it is in the file.
static void check_body(const struct byte_range *ranges, size_t count, uint64_t size, size_t step) {
  static char all[FILE_LEN + RANGES_MAX * 512];
  struct file_body *b =
      file_body_new(file_of((size_t)size), ranges, count, SPAN("boundary"), SPAN("text/plain"), size);
  uint64_t left = file_body_left(b);
  size_t len = 0;
  CHECK(left < sizeof all);
  while (file_body_left(b)) {
    ssize_t n = file_body_read(b, all + len, step);
    CHECK(n > 0);
    len += (size_t)n;
  }
  CHECK(len == left);
  const char *at = all;
  for (size_t i = 0; i < count; i++) {
    at = memmem(at, len - (size_t)(at - all), content + ranges[i].first, (size_t)ranges[i].len);
    CHECK(at);
    at += ranges[i].len;
  }
  if (count == 1) CHECK(len == ranges->len);
  file_body_free(b);
}

// A file that has become shorter never yields more than it has.
static void check_short(const struct byte_range *ranges, size_t count, uint64_t size) {
  static char all[FILE_LEN + RANGES_MAX * 512];
  struct file_body *b = file_body_new(file_of(0), ranges, count, SPAN("boundary"), SPAN(""), size);
  CHECK(file_body_read(b, all, sizeof all) < 0);
  file_body_free(b);
}

static void check_range(struct span value, uint64_t size, size_t step) {
  struct byte_range ranges[RANGES_MAX];
  size_t count;
  enum range_verdict verdict = range_read(value, size, ranges, &count);
  if (verdict != RANGE_PARTS) return;
  CHECK(count >= 1 && count <= RANGES_MAX);
  for (size_t i = 0; i < count; i++) {
    CHECK(ranges[i].len && ranges[i].first < size && ranges[i].len <= size - ranges[i].first);
    for (size_t j = 0; j < i; j++)
      CHECK(ranges[i].first >= ranges[j].first + ranges[j].len ||
            ranges[j].first >= ranges[i].first + ranges[i].len);
  }
  if (size > FILE_LEN) return;
  check_body(ranges, count, size, step);
  check_short(ranges, count, size);
}

static void check_conditions(struct request *r, struct span lead) {
  char etag[ETAG_MAX], date[HTTP_DATE_MAX];
  size_t len = etag_write(etag, 1, 784111777, 2, 3);
  struct validators v = {{etag, len}, 784111777};
  enum condition c = conditional_check(r, &v);
  bool has =
      request_field(r, SPAN("if-none-match")).bytes || request_field(r, SPAN("if-modified-since")).bytes;
  CHECK(c != CONDITION_NOT_MODIFIED || has);
  conditional_allows_range(r, &v, 1700000000);
  int64_t seconds = http_date_read(lead);
  if (seconds < 0) return;
  len = http_date_write(date, seconds);
  CHECK(len && http_date_read((struct span){date, len}) == seconds);
}

static void check_codings(const struct request *r) {
  enum encoding preferred[ENCODING_COUNT];
  size_t n = encoding_preferred(r, preferred);
  CHECK(n < ENCODING_COUNT);
  for (size_t i = 0; i < n; i++) CHECK(preferred[i] == ENCODING_BR || preferred[i] == ENCODING_GZIP);
  CHECK(n < 2 || preferred[0] != preferred[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const names[] = {
      "range",    "if-none-match",  "if-match", "if-modified-since", "if-unmodified-since",
      "if-range", "accept-encoding"};
  struct field fields[FIELDS];
  uint64_t file_size;
  if (size < 10) return 0;
  for (size_t i = 0; i < sizeof content && !content[FILE_LEN - 1]; i++)
    content[i] = (char)(i * 7 + i / 256 + 1) | 1;
  memcpy(&file_size, data, sizeof file_size);
  if (data[8] & 1) file_size %= FILE_LEN + 1;
  size_t step = (size_t)(data[8] >> 1) + 1, count = 0;
  char *copy = malloc(size - 9); // of its exact size, so that a byte read behind it is noticed
  memcpy(copy, data + 9, size - 9);
  struct span rest = {copy, size - 9}, lead = {0};
  struct request *r = calloc(1, sizeof *r);
  while (rest.len && count < FIELDS) {
    struct span line = span_split(&rest, '\n');
    if (!count) lead = line;
    size_t which = line.len ? (unsigned char)line.bytes[0] % (sizeof names / sizeof *names) : 0;
    struct span value = line.len ? (struct span){line.bytes + 1, line.len - 1} : line;
    fields[count++] = (struct field){span_of(names[which]), span_trim(value)};
  }
  r->fields = fields, r->field_count = count;
  struct span range = request_field(r, SPAN("range"));
  if (range.bytes) check_range(range, file_size, step);
  check_conditions(r, lead);
  check_codings(r);
  free(r);
  free(copy);
  return 0;
}
