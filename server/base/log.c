// SPDX-License-Identifier: MIT
// The log: lines in, one writer thread out. The only mutable global of the program beside the broker: a log
// has one reader however many servers a process holds. The writer waits a moment after the first line of a
// batch, so a busy server costs it a hundred wake-ups a second and not one for each request.
#include "base/log.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"

enum { KEPT_MAX = 500, KEPT_ENTRY_MAX = 4096 };

// The newest entries, for who asks; behind the lock.
static struct {
  bool is_on;
  uint64_t count;               // so far; the newest has this number
  struct buf entries[KEPT_MAX]; // each with a NUL behind it
} kept;

enum { WAITING_MAX = 1 << 20, BATCH_NS = 10 * 1000 * 1000, LINE_USUAL = 240 };

static const double WHOLE_MAX = 1e15; // below it "%.15g" writes whole numbers in full
static const char DIM[] = "\33[2m", PLAIN[] = "\33[0m";

static struct {
  pthread_mutex_t lock;
  pthread_cond_t filled, written;
  pthread_t writer;
  struct buf waiting;
  uint64_t dropped, dropped_said;
  atomic_int level;
  bool running, stopping, has_colours;
  enum log_format format;
  int fd;
  void (*sink)(void *owner, const char *line, size_t len);
  void *sink_owner;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .filled = PTHREAD_COND_INITIALIZER,
         .written = PTHREAD_COND_INITIALIZER,
         .level = LOG_INFO,
         .fd = STDERR_FILENO};

static void write_all(int fd, const char *bytes, size_t len) {
  while (len) {
    ssize_t n = write(fd, bytes, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN && poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1) > 0) continue;
    if (n <= 0) return; // nowhere left to say so
    bytes += n, len -= (size_t)n;
  }
}

static void finish_line(struct log_line *l) {
  if (l->format == LOG_JSON) buf_append_byte(&l->buf, '}');
  escape_lines(&l->buf, l->rest, SPAN("    "));
  buf_append_byte(&l->buf, '\n');
}

static bool is_something_waiting(void) { return out.waiting.len || out.dropped > out.dropped_said; }

// With the lock held: the batch to write next, with a note of what was dropped.
static struct buf take_batch(void) {
  struct buf batch = out.waiting;
  out.waiting = (struct buf){0};
  if (out.dropped == out.dropped_said) return batch;
  struct log_line line;
  log_begin(&line, LOG_WARN, clock_wall(clock_system()),
            SPAN("log lines dropped: the reader of the log is too slow"));
  log_number(&line, SPAN("lines"), (double)(out.dropped - out.dropped_said));
  finish_line(&line);
  buf_append(&batch, line.buf.bytes, line.buf.len);
  buf_deinit(&line.buf);
  out.dropped_said = out.dropped;
  return batch;
}

static void *writer_main(void *unused) {
  (void)unused;
  pthread_mutex_lock(&out.lock);
  while (!out.stopping || is_something_waiting()) {
    if (!is_something_waiting()) {
      pthread_cond_wait(&out.filled, &out.lock);
      continue;
    }
    if (!out.stopping) {
      pthread_mutex_unlock(&out.lock);
      nanosleep(&(struct timespec){.tv_nsec = BATCH_NS}, NULL);
      pthread_mutex_lock(&out.lock);
    }
    struct buf batch = take_batch();
    pthread_mutex_unlock(&out.lock);
    write_all(out.fd, batch.bytes, batch.len);
    buf_deinit(&batch);
    pthread_mutex_lock(&out.lock);
  }
  out.running = false;
  pthread_cond_signal(&out.written);
  pthread_mutex_unlock(&out.lock);
  return NULL;
}

void log_configure(enum log_level level, enum log_format format) {
  out.format = format;
  atomic_store(&out.level, level);
}

static bool wants_colours(int fd) {
  const char *no = getenv("NO_COLOR");
  return isatty(fd) && !(no && *no);
}

void log_start(int fd, enum log_level level, enum log_format format) {
  out.fd = fd, out.stopping = false, out.has_colours = wants_colours(fd);
  log_configure(level, format);
  if (out.running) return;
  out.running = pthread_create(&out.writer, NULL, writer_main, NULL) == 0;
}

void log_stop(void) {
  pthread_mutex_lock(&out.lock);
  bool ends = out.running && !out.stopping;
  if (ends) {
    out.stopping = true;
    pthread_cond_signal(&out.filled);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    int failed = 0;
    while (out.running && !failed) failed = pthread_cond_timedwait(&out.written, &out.lock, &until);
  }
  ends = ends && !out.running;
  pthread_mutex_unlock(&out.lock);
  if (ends) pthread_join(out.writer, NULL);
}

void log_capture(void (*sink)(void *owner, const char *line, size_t len), void *owner) {
  pthread_mutex_lock(&out.lock);
  out.sink = sink, out.sink_owner = owner;
  pthread_mutex_unlock(&out.lock);
}

bool log_is_on(enum log_level level) {
  return (int)level >= atomic_load_explicit(&out.level, memory_order_relaxed);
}

// With the lock held.
static void keep(const char *bytes, size_t len) {
  struct buf *entry = &kept.entries[kept.count++ % KEPT_MAX];
  if (len && bytes[len - 1] == '\n') len--;
  if (len > KEPT_ENTRY_MAX)
    for (len = KEPT_ENTRY_MAX; ((unsigned char)bytes[len] & 0xc0) == 0x80;) len--; // no part of a character
  buf_reset(entry, KEPT_ENTRY_MAX);
  buf_append(entry, bytes, len);
  buf_append_byte(entry, '\0');
}

uint64_t log_kept(uint64_t after, struct buf *into) {
  pthread_mutex_lock(&out.lock);
  kept.is_on = true;
  uint64_t first = kept.count > KEPT_MAX ? kept.count - KEPT_MAX : 0;
  for (uint64_t i = MAX(after, first); i < kept.count; i++)
    buf_append_span(into, buf_span(&kept.entries[i % KEPT_MAX]));
  uint64_t newest = kept.count;
  pthread_mutex_unlock(&out.lock);
  return newest;
}

static void hand_out(const char *bytes, size_t len) {
  pthread_mutex_lock(&out.lock);
  if (kept.is_on) keep(bytes, len);
  if (out.sink) out.sink(out.sink_owner, bytes, len);
  else if (!out.running) write_all(out.fd, bytes, len);
  else if (out.waiting.len + len > WAITING_MAX) out.dropped++;
  else {
    bool was_empty = !out.waiting.len;
    buf_append(&out.waiting, bytes, len);
    if (was_empty) pthread_cond_signal(&out.filled);
  }
  pthread_mutex_unlock(&out.lock);
}

// Digits at `at`, as many as are asked for, zeros in front; returns what is behind them.
static char *put_digits(char *at, unsigned value, int count) {
  for (int i = count; i-- > 0; value /= 10) at[i] = (char)('0' + value % 10);
  return at + count;
}

static char *put_clock(char *at, const struct tm *tm) {
  at = put_digits(at, (unsigned)tm->tm_hour, 2), *at++ = ':';
  at = put_digits(at, (unsigned)tm->tm_min, 2), *at++ = ':';
  return put_digits(at, (unsigned)tm->tm_sec, 2);
}

// A line in UTC with its date, or of a terminal's day. A busy server writes many lines in a second: what is
// the same in all of them is made once, by each thread for itself.
static void append_time(struct buf *b, double wall, bool is_utc) {
  static _Thread_local struct {
    time_t second;
    size_t len;
    char text[sizeof "2026-01-01T00:00:00" + 8];
  } known[2];
  time_t second = (time_t)wall - (wall < (double)(time_t)wall);
  if (!known[is_utc].len || known[is_utc].second != second) {
    struct tm tm = {0}; // as it stays where the year is beyond what fits
    char *at = known[is_utc].text;
    if (is_utc) gmtime_r(&second, &tm);
    else localtime_r(&second, &tm);
    if (is_utc) at += strftime(at, sizeof "2026-01-01T" + 4, "%Y-%m-%dT", &tm);
    known[is_utc].len = (size_t)(put_clock(at, &tm) - known[is_utc].text), known[is_utc].second = second;
  }
  char *begin = buf_reserve(b, sizeof known->text + sizeof ".000Z"), *at = begin;
  memcpy(at, known[is_utc].text, known[is_utc].len);
  at += known[is_utc].len, *at++ = '.';
  at = put_digits(at, (unsigned)((wall - (double)second) * 1000), 3);
  if (is_utc) *at++ = 'Z';
  b->len += (size_t)(at - begin);
}

static struct span level_name(enum log_level level) {
  static const char *const names[] = {"debug", "info ", "warn ", "error"};
  return (struct span){names[level], 5};
}

// What a terminal is told: the colour of a level, dim, plain.
static struct span colour(const char *code) { return span_of(out.has_colours ? code : ""); }

// The fields follow the first line of the message, the others come below.
static void begin_pretty(struct log_line *l, enum log_level level, double wall, struct span message) {
  static const char *const codes[] = {DIM, "\33[32m", "\33[33m", "\33[1;31m"};
  const char *end = message.len ? memchr(message.bytes, '\n', message.len) : NULL;
  struct span first = {message.bytes, end ? (size_t)(end - message.bytes) : message.len};
  buf_append_span(&l->buf, colour(DIM));
  append_time(&l->buf, wall, false);
  buf_append_span(&l->buf, colour(PLAIN));
  buf_append_byte(&l->buf, ' ');
  buf_append_span(&l->buf, colour(codes[level]));
  buf_append_span(&l->buf, level_name(level));
  buf_append_span(&l->buf, colour(PLAIN));
  buf_append_byte(&l->buf, ' ');
  escape_lines(&l->buf, first, SPAN(""));
  l->rest = (struct span){message.bytes + first.len, message.len - first.len};
}

void log_begin(struct log_line *l, enum log_level level, double wall, struct span message) {
  *l = (struct log_line){.format = out.format};
  buf_reserve(&l->buf, LINE_USUAL);
  if (l->format == LOG_PRETTY) begin_pretty(l, level, wall, message);
  else if (l->format == LOG_JSON) {
    buf_append_span(&l->buf, SPAN("{\"time\":\""));
    append_time(&l->buf, wall, true);
    buf_append_span(&l->buf, SPAN("\",\"level\":\""));
    buf_append_span(&l->buf, span_trim(level_name(level)));
    buf_append_span(&l->buf, SPAN("\",\"msg\":\""));
    escape_quoted(&l->buf, message, true);
    buf_append_byte(&l->buf, '"');
  } else {
    append_time(&l->buf, wall, true);
    buf_append_byte(&l->buf, ' ');
    buf_append_span(&l->buf, level_name(level));
    buf_append_byte(&l->buf, ' ');
    escape_lines(&l->buf, message, SPAN("\t"));
  }
}

static void append_key(struct log_line *l, struct span key) {
  bool json = l->format == LOG_JSON, quotes = json || escape_needs_quotes(key, '=');
  if (l->format == LOG_PRETTY) buf_append_span(&l->buf, colour(DIM));
  buf_append_byte(&l->buf, json ? ',' : ' ');
  if (quotes) buf_append_byte(&l->buf, '"'), escape_quoted(&l->buf, key, json), buf_append_byte(&l->buf, '"');
  else buf_append_span(&l->buf, key);
  buf_append_byte(&l->buf, json ? ':' : '=');
}

static void end_value(struct log_line *l) {
  if (l->format == LOG_PRETTY) buf_append_span(&l->buf, colour(PLAIN));
}

void log_field(struct log_line *l, struct span key, struct span value) {
  append_key(l, key);
  bool json = l->format == LOG_JSON, quotes = json || escape_needs_quotes(value, 0);
  if (quotes) buf_append_byte(&l->buf, '"');
  if (quotes) escape_quoted(&l->buf, value, json);
  else buf_append_span(&l->buf, value);
  if (quotes) buf_append_byte(&l->buf, '"');
  end_value(l);
}

static void append_whole(struct buf *b, uint64_t value) {
  char digits[20];
  size_t i = sizeof digits;
  do digits[--i] = (char)('0' + value % 10);
  while (value /= 10);
  buf_append(b, digits + i, sizeof digits - i);
}

void log_number(struct log_line *l, struct span key, double value) {
  append_key(l, key);
  if (value >= 0 && value < WHOLE_MAX && value == (double)(uint64_t)value)
    append_whole(&l->buf, (uint64_t)value);
  else if (isfinite(value)) buf_printf(&l->buf, "%.15g", value);
  else buf_append_span(&l->buf, SPAN("null"));
  end_value(l);
}

void log_end(struct log_line *l) {
  finish_line(l);
  hand_out(l->buf.bytes, l->buf.len);
  buf_deinit(&l->buf);
}

void log_message(enum log_level level, const char *format, ...) {
  if (!log_is_on(level)) return;
  char *text = NULL;
  va_list args;
  va_start(args, format);
  int len = vasprintf(&text, format, args);
  va_end(args);
  if (len < 0) return;
  struct log_line line;
  log_begin(&line, level, clock_wall(clock_system()), (struct span){text, (size_t)len});
  log_end(&line);
  free(text);
}
