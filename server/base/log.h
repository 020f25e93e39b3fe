// SPDX-License-Identifier: MIT
// Levelled log lines: text, JSON, or pretty for a person at a terminal. A line is put together by its thread
// and handed to one writer thread, so a slow terminal, a full disk or a dead pipe never holds a loop up: past
// 1 MiB of waiting lines the newest are dropped and their number is said. Any thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_TEXT, LOG_JSON, LOG_PRETTY };

// Which lines are written, and how they look.
void log_configure(enum log_level level, enum log_format format);

// Starts the writer on `fd`. Before this, lines go to stderr at once. Pretty lines have colours on a
// terminal, unless NO_COLOR is set.
void log_start(int fd, enum log_level level, enum log_format format);

// Writes what waits (for two seconds at most) and ends the writer.
void log_stop(void);

// Hands every line to `sink` instead; NULL undoes it. For a process without a writer.
void log_capture(void (*sink)(void *owner, const char *line, size_t len), void *owner);

// Keeps the newest entries from now on: 500 at most, of 4 KiB each. Appends those behind number `after` to
// `out`, as they are written, each with a NUL behind it instead of the last line's end, and returns the
// number of the newest; 0 for the first. Any thread.
uint64_t log_kept(uint64_t after, struct buf *out);

// True when lines of this level are written.
bool log_is_on(enum log_level level);

// A line in the making: begin, any number of fields, end. `wall` is its time, seconds since 1970.
struct log_line {
  struct buf buf;
  enum log_format format;
  struct span rest; // pretty: the message behind its first line, the caller's until log_end
};

void log_begin(struct log_line *l, enum log_level level, double wall, struct span message);
void log_field(struct log_line *l, struct span key, struct span value); // control characters are escaped
void log_number(struct log_line *l, struct span key, double value);
void log_end(struct log_line *l);

// One line with a formatted message and no fields, at the machine's time.
void log_message(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
