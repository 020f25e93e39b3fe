// SPDX-License-Identifier: MIT
// Takes a multipart/form-data body apart (RFC 7578, RFC 2046 5.1) as it comes, however it is split.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"

enum { MULTIPART_BOUNDARY_MAX = 70, MULTIPART_HEAD_MAX = 8 << 10 };

// What stands above a part's bytes; the spans are valid during the call only.
struct multipart_part {
  struct span name, type; // type.bytes == NULL: none is given
  struct span filename;   // behind its last slash or backslash
  bool is_file;           // has a filename, which may be empty
};

struct multipart_sink {
  void (*on_part)(void *owner, const struct multipart_part *part);
  void (*on_data)(void *owner, struct span bytes); // never empty
};

struct multipart {
  const struct multipart_sink *sink;
  void *owner;
  uint8_t state;
  uint8_t matched; // bytes of the delimiter that have come ...
  uint8_t assumed; // ... less so many: the first of a body or part needs no line end
  uint8_t delimiter_len;
  uint16_t head_len, line_at; // of the head so far; where its last line begins
  struct multipart_part part; // what it has said, pointing into the head
  char delimiter[sizeof "\r\n--" + MULTIPART_BOUNDARY_MAX];
  char head[MULTIPART_HEAD_MAX];
};

// Waits for the first part; `m` is all zeros. False where the Content-Type field names no boundary that can
// be one.
bool multipart_init(struct multipart *m, struct span content_type, const struct multipart_sink *sink,
                    void *owner);

// Takes bytes in. NULL, or what is wrong with them; nothing may follow then.
const char *multipart_feed(struct multipart *m, struct span bytes);

// True once the last delimiter has come: the body may end.
bool multipart_is_complete(const struct multipart *m);
