// SPDX-License-Identifier: MIT
// A file may be cut short while it is sent. It is never mapped, so that this is a short read and no signal;
// and a length that has been announced is kept or the connection is cut.
#include "serve/file_body.h"
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "event/event.h"
#include "loop/transport.h"

enum {
  SHARE = 256 << 10,   // of one client in one turn of the loop
  EVENT_LEN = 64 << 10 // the same where the server has to read it
};

struct piece {
  size_t text; // bytes of `texts` before it
  uint64_t offset, len;
};

struct file_body {
  int fd;
  struct buf texts; // what is left of them, of all pieces
  uint64_t left;
  size_t in_flight; // of the present piece, from its front, what the transport has
  size_t at, count;
  struct piece pieces[]; // the last of a multipart body is text alone
};

static void add_part(struct file_body *b, const struct byte_range *r, struct span boundary, struct span type,
                     uint64_t size) {
  size_t before = b->texts.len;
  buf_printf(&b->texts, "%s--" SPAN_FMT "\r\n", before ? "\r\n" : "", SPAN_ARG(boundary));
  if (type.len) buf_printf(&b->texts, "Content-Type: " SPAN_FMT "\r\n", SPAN_ARG(type));
  buf_printf(&b->texts, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n", r->first,
             r->first + r->len - 1, size);
  b->pieces[b->count++] = (struct piece){b->texts.len - before, r->first, r->len};
}

static void end_parts(struct file_body *b, struct span boundary) {
  size_t before = b->texts.len;
  buf_printf(&b->texts, "\r\n--" SPAN_FMT "--\r\n", SPAN_ARG(boundary));
  b->pieces[b->count++] = (struct piece){.text = b->texts.len - before};
}

struct file_body *file_body_new(int fd, const struct byte_range *ranges, size_t count, struct span boundary,
                                struct span type, uint64_t size) {
  struct file_body *b = xcalloc(1, sizeof *b + (count + 1) * sizeof *b->pieces);
  b->fd = fd;
  if (count == 1) b->pieces[b->count++] = (struct piece){0, ranges->first, ranges->len};
  for (size_t i = 0; i < count && count > 1; i++) add_part(b, &ranges[i], boundary, type, size);
  if (count > 1) end_parts(b, boundary);
  for (size_t i = 0; i < b->count; i++) b->left += b->pieces[i].text + b->pieces[i].len;
  return b;
}

void file_body_free(struct file_body *b) {
  if (!b) return;
  close(b->fd);
  buf_deinit(&b->texts);
  free(b);
}

uint64_t file_body_left(const struct file_body *b) { return b->left; }

// The piece that is next; the body has one while something is left.
static struct piece *current(struct file_body *b) {
  while (!b->pieces[b->at].text && !b->pieces[b->at].len) b->at++;
  return &b->pieces[b->at];
}

static void text_gone(struct file_body *b, struct piece *p, size_t n) {
  buf_consume(&b->texts, n);
  p->text -= n, b->left -= n;
}

static void file_gone(struct file_body *b, struct piece *p, size_t n) {
  p->offset += n, p->len -= n, b->left -= n;
}

ssize_t file_body_read(struct file_body *b, char *into, size_t max) {
  size_t got = 0;
  while (b->left && got < max) {
    struct piece *p = current(b);
    if (p->text) {
      size_t n = MIN(p->text, max - got);
      memcpy(into + got, b->texts.bytes, n);
      text_gone(b, p, n);
      got += n;
      continue;
    }
    ssize_t n = pread(b->fd, into + got, (size_t)MIN(p->len, (uint64_t)(max - got)), (off_t)p->offset);
    if (n <= 0) return -1;
    file_gone(b, p, (size_t)n);
    got += (size_t)n;
  }
  return (ssize_t)got;
}

struct event *file_body_event(struct file_body *b) {
  size_t len = (size_t)MIN(b->left, (uint64_t)EVENT_LEN);
  struct event *e = event_new(NULL, len);
  if (file_body_read(b, e->bytes, len) == (ssize_t)len) return e;
  event_unref(e);
  return NULL;
}

bool file_body_take(struct file_body *b, struct outq *out) {
  if (b->in_flight) return false;
  struct piece *p = current(b);
  b->in_flight = p->text ? p->text : (size_t)MIN(p->len, (uint64_t)SHARE);
  if (p->text) out->iov[out->count++] = (struct iovec){b->texts.bytes, p->text};
  else out->fd = b->fd, out->offset = p->offset;
  out->len += b->in_flight;
  return true;
}

bool file_body_in_flight(const struct file_body *b) { return b->in_flight; }

void file_body_leave(struct file_body *b, size_t len) {
  struct piece *p = current(b);
  b->in_flight -= len;
  (p->text ? text_gone : file_gone)(b, p, len);
}
