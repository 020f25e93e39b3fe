// SPDX-License-Identifier: MIT
// Decodes the chunks of a body (RFC 9112 7.1), strictly; the trailer section behind them is not its own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "http/proto.h"
#include "http/refusal.h"

enum chunked_state {
  CHUNKED_SIZE,
  CHUNKED_SIZE_BLANK, // behind blanks behind a size
  CHUNKED_EXTENSION,  // behind ';'
  CHUNKED_NAME,       // in an extension's name
  CHUNKED_NAME_BLANK, // behind blanks behind it
  CHUNKED_EQUALS,     // behind '='
  CHUNKED_VALUE,
  CHUNKED_QUOTED,
  CHUNKED_ESCAPED,   // behind '\\' in a quoted value
  CHUNKED_QUOTE_END, // behind the closing quote
  CHUNKED_VALUE_BLANK,
  CHUNKED_SIZE_LF,
  CHUNKED_DATA,
  CHUNKED_DATA_CR,
  CHUNKED_DATA_LF,
  CHUNKED_DONE // behind the last chunk's line
};

struct chunked {
  uint64_t size;          // of the chunk, less what was taken of its data
  uint64_t body_left;     // that chunks still to come may have together
  uint32_t extension_len; // bytes in the extensions of all chunks
  uint8_t digits;         // of the size so far
  uint8_t state;          // enum chunked_state
  bool takes_blanks;      // behind a size, as there are servers that write "5  "
};

// Waits for the first chunk of a body of any length.
#define CHUNKED_START ((struct chunked){.body_left = UINT64_MAX})

// Sets how long the body may become; once. False where its chunks so far are longer.
bool chunked_limit(struct chunked *c, uint64_t body_max);

// Takes bytes up to the end of the next run of data, of the last chunk or of the input, and returns how many;
// the run, maybe empty, goes to *data. A refused body has *refusal set. Worker thread.
size_t chunked_take(struct chunked *c, struct span in, const struct proto_limits *limits, struct span *data,
                    struct refusal *refusal);
