// SPDX-License-Identifier: MIT
// Of several addresses the next one is tried when one has failed, or has not answered for a while, beside
// those that are still tried; the first that is connected to carries the request (RFC 8305).
// A kept connection stays watched, so that asking on it costs no more than a write and a read; whatever comes
// while it is idle ends it. A request that a kept connection has taken and broken at is made once more on a
// new one, unless it may not be made twice or what was sent of it is gone.
#include "client/plain.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "client/plain_ask.h"
#include "client/plain_socket.h"
#include "serve/service.h"

enum { IDLE_MAX = 128, READ_LEN = 16 << 10, CHUNK_LEN = 16 << 10, WHOLE_WITH_HEAD = 16 << 10 };
static const double ATTEMPT_SECONDS = 0.25, IDLE_SECONDS = 118, ONCE_IDLE_SECONDS = 4;

void plain_pool_init(struct plain_pool *p, struct loop *loop) {
  *p = (struct plain_pool){.loop = loop};
  list_init(&p->idle);
}

// From among those of its transfer.
static void plain_unchain(const struct plain *c) {
  struct plain **at = &c->transfer->plain;
  while (*at != c) at = &(*at)->earlier;
  *at = c->earlier;
}

static void plain_close(struct plain *c) {
  int fd = watch_fd(&c->watch);
  if (c->transfer) plain_unchain(c);
  else c->pool->idle_count--;
  list_remove(&c->link);
  loop_disarm(c->pool->loop, &c->timer);
  watch_stop(&c->watch);
  close(fd);
  buf_deinit(&c->out);
  buf_deinit(&c->held);
  plain_answer_deinit(&c->answer);
  free(c);
}

static struct plain *plain_of(struct list *node) { return container_of(node, struct plain, link); }

void plain_pool_deinit(struct plain_pool *p) {
  while (!list_empty(&p->idle)) plain_close(plain_of(p->idle.next));
}

static enum plain_outcome plain_fail(struct transfer *t, enum fetch_error error, const char *why) {
  if (!t->error && why) snprintf(t->text, sizeof t->text, "%s", why);
  transfer_give_up(t, error);
  return PLAIN_FAILED;
}

static const char *name_of(const struct transfer *t) {
  return t->hop.unix_path ? t->hop.unix_path : t->hop.host;
}

// What is to be written next, as far as it is known; empty: nothing now.
static struct span next_out(struct plain *c) {
  struct transfer *t = c->transfer;
  if (c->out_at < c->out.len) return (struct span){c->out.bytes + c->out_at, c->out.len - c->out_at};
  c->out.len = c->out_at = 0;
  if (t->hop.body_kind == FETCH_BODY_WHOLE)
    return (struct span){t->hop.body.bytes + t->body_at, t->hop.body.len - t->body_at};
  return (struct span){0};
}

// The end of a body in pieces.
static void end_pieces(struct plain *c) {
  struct transfer *t = c->transfer;
  c->is_asked = true;
  if (hop_is_chunked(&t->hop)) buf_append(&c->out, "0\r\n\r\n", 5);
  else if (t->fetch.bytes_out < (uint64_t)t->hop.body_length)
    plain_fail(t, FETCH_CLOSED, "the body that was sent is shorter than its length");
}

// Takes more of a body in pieces into `out`, which is empty. False where there is none now.
static bool refill(struct plain *c) {
  struct transfer *t = c->transfer;
  if (t->hop.body_kind != FETCH_BODY_PIECES || c->is_asked) return false;
  bool is_chunked = hop_is_chunked(&t->hop);
  size_t max = CHUNK_LEN, lead = is_chunked ? 6 : 0;
  if (!is_chunked) max = (size_t)MIN((uint64_t)max, (uint64_t)t->hop.body_length - t->fetch.bytes_out);
  char *into = buf_reserve(&c->out, lead + max + 3);
  size_t n = max ? transfer_take_upload(t, into + lead, max) : 0;
  if (!n && max && t->is_starved) return false;
  if (!n) end_pieces(c);
  else if (is_chunked) {
    char size[24];
    snprintf(size, sizeof size, "%04zx\r\n", n);
    memcpy(into, size, lead);
    memcpy(into + lead + n, "\r\n", 2);
  }
  if (n) c->out.len = lead + n + (is_chunked ? 2 : 0);
  return c->out.len > 0;
}

static bool is_over(const struct transfer *t) { return t->is_doomed || t->error; }

static void note_written(struct plain *c, size_t n) {
  struct transfer *t = c->transfer;
  t->active_at = c->pool->loop->now;
  if (c->out_at < c->out.len) c->out_at += n;
  else t->body_at += n, fetch_count_sent(&t->fetch, n);
}

// Writes what is there, and watches for room where the kernel has none.
static void plain_write(struct plain *c) {
  while (!c->is_deaf && !is_over(c->transfer)) {
    struct span out = next_out(c);
    if (!out.len && refill(c)) continue;
    if (!out.len) break;
    ssize_t n = send(watch_fd(&c->watch), out.bytes, out.len, MSG_NOSIGNAL);
    if (n >= 0) note_written(c, (size_t)n);
    else if (errno == EAGAIN) {
      watch_set(&c->watch, c->watch.events | WATCH_WRITE);
      return;
    } else if (errno != EINTR) c->is_deaf = true; // its answer may be there all the same
  }
  if (c->transfer->hop.body_kind != FETCH_BODY_PIECES) c->is_asked = !c->is_deaf;
  watch_set(&c->watch, c->watch.events & WATCH_READ);
}

// Asks on a connection. A small body goes out with the head.
static enum plain_outcome plain_ask_on(struct plain *c) {
  struct transfer *t = c->transfer;
  if (!transfer_note_connected(t, &c->address)) return PLAIN_FAILED;
  plain_answer_begin(&c->answer);
  c->out.len = c->out_at = 0, c->is_asked = false;
  plain_ask(&t->hop, &c->out);
  if (t->hop.body_kind == FETCH_BODY_WHOLE && t->hop.body.len <= WHOLE_WITH_HEAD) {
    buf_append_span(&c->out, buf_span(&t->hop.body));
    t->body_at = t->hop.body.len, fetch_count_sent(&t->fetch, t->body_at);
  }
  watch_set(&c->watch, WATCH_READ);
  plain_write(c);
  return is_over(t) ? PLAIN_FAILED : PLAIN_GOES_ON;
}

static void on_ready(struct watch *w, unsigned events);
static void on_patience(struct timer *timer);

// Begins to connect; NULL where that fails at once.
static struct plain *plain_connect(struct plain_pool *p, struct transfer *t, const struct address *to) {
  const char *name = name_of(t);
  int fd = plain_socket(to, t->hop.port, name);
  if (fd < 0) return NULL;
  struct plain *c = xcalloc(1, sizeof *c + strlen(name) + 1);
  memcpy(c->name, name, strlen(name));
  c->pool = p, c->transfer = t, c->address = *to, c->port = t->hop.port;
  c->watch.on_ready = on_ready, c->timer.on_fire = on_patience;
  list_init(&c->link);
  watch_start(&c->watch, p->loop, fd, WATCH_WRITE);
  c->earlier = t->plain, t->plain = c;
  return c;
}

// Tries the next of the addresses that are left, if any; all have the time that there is to connect.
static enum plain_outcome plain_connect_next(struct plain_pool *p, struct transfer *t, int error) {
  const struct address local = {.family = ADDRESS_UNIX};
  unsigned count = t->hop.unix_path ? 1 : t->resolved.count;
  while (t->address_at < count) {
    const struct address *to = t->hop.unix_path ? &local : &t->resolved.addresses[t->address_at];
    t->address_at++;
    struct plain *c = plain_connect(p, t, to);
    if (!c) error = errno;
    if (c && t->address_at < count) loop_arm(p->loop, &c->timer, p->loop->now + ATTEMPT_SECONDS);
    if (c) return PLAIN_GOES_ON;
  }
  return t->plain ? PLAIN_GOES_ON : plain_fail(t, FETCH_REFUSED, strerror(error));
}

static enum plain_outcome plain_connect_anew(struct plain *c, int error) {
  struct plain_pool *p = c->pool;
  struct transfer *t = c->transfer;
  plain_close(c);
  return plain_connect_next(p, t, error);
}

// It is the one that carries the request.
static void plain_win(struct plain *c) {
  struct transfer *t = c->transfer;
  for (struct plain *other; (other = t->plain != c ? t->plain : c->earlier);) plain_close(other);
  c->is_connected = true;
  loop_disarm(c->pool->loop, &c->timer);
}

// The connection has ended within the answer, or before it.
static enum plain_outcome plain_break(struct plain *c, int error) {
  struct transfer *t = c->transfer;
  bool may_repeat = c->is_used && !c->answer.has_begun && !c->answer.line.len;
  bool is_gone = t->hop.body_kind == FETCH_BODY_PIECES && t->fetch.bytes_out > 0;
  if (c->answer.state == ANSWER_TO_CLOSE && !error) return c->answer.state = ANSWER_DONE, PLAIN_COMPLETE;
  if (may_repeat && (t->is_once || is_gone)) return plain_fail(t, FETCH_CLOSED, NULL);
  if (may_repeat) {
    t->address_at = 0, t->body_at = 0;
    return plain_connect_anew(c, error);
  }
  return plain_fail(t, FETCH_CLOSED,
                    error ? strerror(error)
                          : "the server closed the connection before its answer was complete");
}

// What the fetch does not want yet is kept, and no more is read.
static void plain_hold(struct plain *c, struct span rest, bool is_kept) {
  if (is_kept) buf_consume(&c->held, c->held.len - rest.len);
  else buf_append_span(&c->held, rest);
  c->transfer->is_held = true;
  watch_set(&c->watch, c->watch.events & WATCH_WRITE);
}

static enum plain_outcome plain_take(struct plain *c, struct span in, bool is_kept) {
  struct transfer *t = c->transfer;
  switch (plain_answer_take(&c->answer, t, &in)) {
  case ANSWER_GOES_ON:
  case ANSWER_HELD:
    if (t->fetch.is_paused) plain_hold(c, in, is_kept);
    else if (is_kept) buf_deinit(&c->held);
    return PLAIN_GOES_ON;
  case ANSWER_COMPLETE: c->answer.keeps &= !in.len; return PLAIN_COMPLETE;
  case ANSWER_REFUSED: c->answer.keeps = false; break;
  }
  return t->is_redirect && !t->error ? PLAIN_COMPLETE : PLAIN_FAILED;
}

static enum plain_outcome plain_read(struct plain *c) {
  char *bytes = c->pool->loop->scratch;
  ssize_t n = recv(watch_fd(&c->watch), bytes, READ_LEN, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return PLAIN_GOES_ON;
  if (n <= 0) return plain_break(c, n < 0 ? errno : 0);
  c->transfer->active_at = c->pool->loop->now;
  return plain_take(c, (struct span){bytes, (size_t)n}, false);
}

static enum plain_outcome plain_step(struct plain *c, unsigned events) {
  struct transfer *t = c->transfer;
  int error = 0;
  socklen_t len = sizeof error;
  if (!c->is_connected) {
    getsockopt(watch_fd(&c->watch), SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) return plain_connect_anew(c, error);
    plain_win(c);
    return plain_ask_on(c);
  }
  if (events & WATCH_WRITE) plain_write(c);
  if (is_over(t)) return PLAIN_FAILED;
  return events & WATCH_READ ? plain_read(c) : PLAIN_GOES_ON;
}

static void on_ready(struct watch *w, unsigned events) {
  struct plain *c = container_of(w, struct plain, watch);
  struct plain_pool *p = c->pool;
  struct transfer *t = c->transfer;
  if (!t) {
    plain_close(c);
    return;
  }
  ++*p->in_call;
  enum plain_outcome outcome = plain_step(c, events);
  --*p->in_call;
  p->on_step(p, t, outcome);
}

// An address has not answered for a while; or the connection has been idle, or is again.
static void on_patience(struct timer *timer) {
  struct plain *c = container_of(timer, struct plain, timer);
  struct plain_pool *p = c->pool;
  struct transfer *t = c->transfer;
  if (!c->is_connected) p->on_step(p, t, plain_connect_next(p, t, ETIMEDOUT));
  else if (!t && c->idle_since + IDLE_SECONDS > p->loop->now)
    loop_arm(p->loop, timer, c->idle_since + IDLE_SECONDS);
  else if (!t) plain_close(c);
}

// Whether something has come that nobody has asked for, or the end, which the loop has not told of yet.
static bool is_stale(const struct plain *c) {
  char byte;
  return recv(watch_fd(&c->watch), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

static bool may_go_to(const struct transfer *t, const struct address *a) {
  return a->family == ADDRESS_UNIX || !transfer_refuses_private(t) || !address_is_private(a);
}

// An idle connection to where the transfer goes, whose server has hardly given it up where the request may
// not be made twice; NULL: there is none.
static struct plain *find_idle(struct plain_pool *p, const struct transfer *t) {
  double oldest = p->loop->now - (t->is_once ? ONCE_IDLE_SECONDS : IDLE_SECONDS);
  for (struct list *node = p->idle.prev; node != &p->idle; node = node->prev) {
    struct plain *c = plain_of(node);
    bool is_local = c->address.family == ADDRESS_UNIX;
    if (is_local == (t->hop.unix_path != NULL) && (is_local || c->port == t->hop.port) &&
        c->idle_since >= oldest && !strcmp(c->name, name_of(t)) && may_go_to(t, &c->address))
      return c;
  }
  return NULL;
}

static struct plain *find_live(struct plain_pool *p, const struct transfer *t) {
  struct plain *c;
  while ((c = find_idle(p, t)) && is_stale(c)) plain_close(c);
  return c;
}

void plain_start(struct plain_pool *p, struct transfer *t) {
  struct plain *c = find_live(p, t);
  enum plain_outcome outcome;
  t->address_at = 0;
  ++*p->in_call;
  if (c) {
    list_remove(&c->link);
    p->idle_count--;
    c->transfer = t, t->plain = c;
    outcome = plain_ask_on(c);
  } else outcome = plain_connect_next(p, t, EADDRNOTAVAIL);
  --*p->in_call;
  p->on_step(p, t, outcome);
}

static enum plain_outcome plain_resume(struct plain *c) {
  struct transfer *t = c->transfer;
  enum plain_outcome outcome = PLAIN_GOES_ON;
  if (!c->is_connected) return outcome;
  plain_write(c);
  if (is_over(t)) return PLAIN_FAILED;
  if (t->fetch.is_paused) return outcome;
  t->is_held = false;
  if (c->held.len) outcome = plain_take(c, buf_span(&c->held), true);
  if (outcome == PLAIN_GOES_ON && !t->is_held) watch_set(&c->watch, c->watch.events | WATCH_READ);
  return outcome;
}

void plain_go_on(struct transfer *t) {
  struct plain_pool *p = t->plain->pool;
  ++*p->in_call;
  enum plain_outcome outcome = plain_resume(t->plain);
  --*p->in_call;
  p->on_step(p, t, outcome);
}

void plain_leave(struct transfer *t) {
  struct plain *c = t->plain;
  if (!c) return;
  struct plain_pool *p = c->pool;
  bool is_written = c->is_asked && c->out_at == c->out.len;
  if (c->answer.state != ANSWER_DONE || !c->answer.keeps || !is_written) {
    while (t->plain) plain_close(t->plain);
    return;
  }
  if (p->idle_count == IDLE_MAX) plain_close(plain_of(p->idle.next));
  c->transfer = NULL, t->plain = NULL, c->is_used = true, c->idle_since = p->loop->now;
  buf_reset(&c->out, 4096);
  buf_deinit(&c->held);
  p->idle_count++;
  list_append(&p->idle, &c->link);
  if (!timer_is_armed(&c->timer)) loop_arm(p->loop, &c->timer, c->idle_since + IDLE_SECONDS);
  watch_set(&c->watch, WATCH_READ);
}
