// SPDX-License-Identifier: MIT
// A loss is only noted where it is found, and told of in the home's hook: so whoever drops a link, or finds
// out by sending, is not called back from there. Time between two tries doubles up to some seconds, and is
// never the same for all who wait.
#include "client/redis_link.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/redis_tls.h"
#include "loop/sock.h"

static const double RETRY_FIRST = 0.1, RETRY_MAX = 5, RETRY_REFUSED = 5; // seconds
static const double STEADY_SECONDS = 10; // a connection that lasts so long begins the count of failures anew
enum { BUF_KEPT = 64 << 10, UNACKNOWLEDGED_SECONDS = 30 };

static void link_act(struct redis_link *l);

static void touch(struct redis_link *l) {
  if (list_empty(&l->dirty_link)) list_append(&l->home->dirty, &l->dirty_link);
}

static bool has_work(struct loop_hook *hook) {
  struct redis_home *h = container_of(hook, struct redis_home, hook);
  return !list_empty(&h->dirty) || !list_empty(&h->doomed);
}

static bool run(struct loop_hook *hook) {
  struct redis_home *h = container_of(hook, struct redis_home, hook);
  for (struct list *node; (node = list_shift(&h->dirty));)
    link_act(container_of(node, struct redis_link, dirty_link));
  for (struct list *node; (node = list_shift(&h->doomed));) {
    struct redis_doomed *d = container_of(node, struct redis_doomed, link);
    d->free(d);
  }
  return false;
}

void redis_home_init(struct redis_home *h, struct loop *l, struct resolver *resolver) {
  *h = (struct redis_home){.loop = l, .resolver = resolver, .hook = {.run = run, .is_ready = has_work}};
  list_init(&h->dirty);
  list_init(&h->doomed);
  h->seed = (unsigned)(uintptr_t)h ^ (unsigned)(clock_wall(l->clock) * 1e6);
  loop_hook_add(l, &h->hook);
}

void redis_home_deinit(struct redis_home *h) {
  if (!h->loop) return;
  run(&h->hook);
  loop_hook_remove(h->loop, &h->hook);
  h->loop = NULL;
}

void redis_home_free_later(struct redis_home *h, struct redis_doomed *d) {
  list_init(&d->link);
  list_append(&h->doomed, &d->link);
}

static double link_now(const struct redis_link *l) { return loop_time(l->home->loop); }

static bool is_carrying(const struct redis_link *l) {
  return l->state == LINK_GREETING || l->state == LINK_READY;
}

const char *redis_link_name(const struct redis_link *l, char out[static 128]) {
  if (l->host) snprintf(out, 128, strchr(l->host, ':') ? "[%s]:%u" : "%s:%u", l->host, l->port);
  else snprintf(out, 128, "%s", l->address->path);
  return out;
}

// Lets go of whatever it has of a connection.
static void link_shut(struct redis_link *l) {
  loop_disarm(l->home->loop, &l->timer);
  if (l->state == LINK_LOCATING) l->locator->leave(l->locator, l);
  dial_stop(&l->dial);
  if (l->transport) l->transport->ops->close(l->transport, false);
  l->transport = NULL;
  buf_deinit(&l->out);
  buf_deinit(&l->flight);
  l->sent = 0, l->expected = 0, l->greeting = 0;
}

static void link_fail(struct redis_link *l, enum redis_code code, const char *why) {
  char name[128];
  l->was_ready = l->state == LINK_READY;
  l->code = code;
  snprintf(l->why, sizeof l->why, "redis %s: %s", redis_link_name(l, name), why);
  link_shut(l);
  l->state = LINK_FAILED;
  touch(l);
}

// When a connection that is ready is to be looked at: for silence, or since it is idle.
static double next_look(const struct redis_link *l) {
  if (l->expected) return MAX(l->heard_at, l->asked_at) + l->times.silence;
  return l->heard_at + l->times.ping;
}

// The timer may be early, and looks again then.
static void watch_time(struct redis_link *l) { loop_arm_by(l->home->loop, &l->timer, next_look(l)); }

static void look(struct redis_link *l) {
  char why[80];
  if (next_look(l) > l->home->loop->now) {
    watch_time(l);
  } else if (l->expected) {
    snprintf(why, sizeof why, "no answer for %g s", l->times.silence);
    link_fail(l, REDIS_CODE_UNAVAILABLE, why);
  } else {
    l->heard_at = l->home->loop->now;
    if (l->ops->on_idle) l->ops->on_idle(l);
    if (l->state == LINK_READY) watch_time(l);
  }
}

static void on_timer(struct timer *t) {
  struct redis_link *l = container_of(t, struct redis_link, timer);
  char why[80];
  if (l->state == LINK_READY) {
    look(l);
  } else if (l->state == LINK_WAITING) {
    l->state = LINK_DUE;
    touch(l);
  } else {
    snprintf(why, sizeof why, "no connection within %g s", l->times.connect);
    link_fail(l, REDIS_CODE_UNAVAILABLE, why);
  }
}

void redis_format(struct buf *b, int argc, const char *const *argv, const size_t *lens) {
  char *text = NULL;
  long long len = redisFormatCommandArgv(&text, argc, (const char **)argv, lens);
  if (len < 0) abort();
  buf_append(b, text, (size_t)len);
  redisFreeCommand(text);
}

static void flush(struct redis_link *l) {
  struct outq q;
  if (!l->transport || l->flight.len || !l->out.len) return;
  struct buf empty = l->flight;
  l->flight = l->out, l->out = empty, l->sent = 0;
  q.count = 1, q.len = l->flight.len, q.iov[0] = (struct iovec){l->flight.bytes, l->flight.len};
  q.is_share = q.has_more = false;
  ssize_t n = l->transport->ops->send(l->transport, &q);
  if (n < 0) link_fail(l, REDIS_CODE_UNAVAILABLE, "the connection is broken");
  else if ((size_t)n == l->flight.len) buf_reset(&l->flight, BUF_KEPT);
  else l->sent = (size_t)n;
}

static void send_words(struct redis_link *l, int argc, const char *const *argv) {
  size_t lens[3];
  for (int i = 0; i < argc; i++) lens[i] = strlen(argv[i]);
  redis_format(&l->out, argc, argv, lens);
  l->greeting++;
}

static void greet(struct redis_link *l) {
  const struct redis_address *a = l->address;
  char db[12];
  if (a->password && a->user) send_words(l, 3, (const char *const[]){"AUTH", a->user, a->password});
  else if (a->password) send_words(l, 2, (const char *const[]){"AUTH", a->password});
  snprintf(db, sizeof db, "%u", a->db);
  if (a->db) send_words(l, 2, (const char *const[]){"SELECT", db});
  if (l->locator) send_words(l, 1, (const char *const[]){"ROLE"});
  send_words(l, 1, (const char *const[]){"PING"});
  flush(l);
}

static void on_open(struct transport *t) {
  struct redis_link *l = t->owner;
  t->ops->want_read(t, LOOP_SCRATCH_LEN);
  greet(l);
}

static void become_ready(struct redis_link *l) {
  char name[128];
  l->state = LINK_READY;
  l->ready_at = l->heard_at = link_now(l);
  loop_disarm(l->home->loop, &l->timer);
  watch_time(l);
  if (l->failures) log_message(LOG_INFO, "redis %s: connected", redis_link_name(l, name));
  l->ops->on_ready(l);
}

// What ROLE says of a server that a locator has led to.
static bool is_master(const redisReply *reply) {
  return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
         span_equal(redis_text(reply->element[0]), SPAN("master"));
}

static void take_greeting(struct redis_link *l, const redisReply *reply) {
  char why[140];
  if (reply->type == REDIS_REPLY_STATUS || (l->locator && is_master(reply))) {
    if (!--l->greeting) become_ready(l);
    return;
  }
  struct span text = reply->type == REDIS_REPLY_ERROR   ? redis_text(reply)
                     : reply->type == REDIS_REPLY_ARRAY ? SPAN("it is no master")
                                                        : SPAN("an odd answer to its greeting");
  snprintf(why, sizeof why, "%.*s", (int)MIN(text.len, sizeof why - 1), text.bytes);
  enum redis_code code = redis_code_of(reply);
  link_fail(l, code ? code : REDIS_CODE_ERROR, why);
}

static void take_reply(struct redis_link *l, redisReply *reply) {
  if (l->state == LINK_GREETING) take_greeting(l, reply);
  else if (l->ops->on_reply(l, &reply) && l->state == LINK_READY) {
    if (l->expected) l->expected--;
    else link_fail(l, REDIS_CODE_UNAVAILABLE, "an answer that nobody has asked for");
  }
  if (reply) freeReplyObject(reply);
}

static void on_bytes(struct transport *t, struct span bytes) {
  struct redis_link *l = t->owner;
  l->heard_at = link_now(l);
  redis_reader_feed(&l->reader, bytes);
  for (redisReply *reply; is_carrying(l) && (reply = redis_reader_next(&l->reader));) take_reply(l, reply);
  if (is_carrying(l) && l->reader.wrong) link_fail(l, REDIS_CODE_UNAVAILABLE, l->reader.wrong);
}

static void on_sent(struct transport *t, size_t len) {
  struct redis_link *l = t->owner;
  l->sent += len;
  if (l->sent < l->flight.len) return;
  buf_reset(&l->flight, BUF_KEPT);
  flush(l);
  if (l->state == LINK_READY) l->ops->on_room(l);
}

static void on_end(struct transport *t) {
  link_fail(t->owner, REDIS_CODE_UNAVAILABLE, "the server has closed the connection");
}

static void on_error(struct transport *t, enum transport_error why) {
  (void)why;
  struct redis_link *l = t->owner;
  const char *text = l->address->is_secure ? redis_tls_error(t) : NULL;
  link_fail(l, REDIS_CODE_UNAVAILABLE, text ? text : "the connection is broken");
}

static const struct transport_sink sink = {
    .on_open = on_open, .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_end, .on_error = on_error};

// Goes on with what carries bytes, or will once its own handshake is over.
static void link_adopt(struct redis_link *l, struct transport *t) {
  const char *wrong = NULL;
  if (l->address->is_secure) t = redis_tls_new(t, l->address, l->host, &wrong);
  if (!t) {
    link_fail(l, REDIS_CODE_UNAVAILABLE, wrong);
    return;
  }
  redis_reader_deinit(&l->reader);
  redis_reader_init(&l->reader);
  l->transport = t, l->state = LINK_GREETING;
  t->sink = &sink, t->owner = l;
  t->ops->open(t);
}

static void on_dialled(struct dial *d, int fd) {
  struct redis_link *l = container_of(d, struct redis_link, dial);
  if (fd < 0) {
    link_fail(l, REDIS_CODE_UNAVAILABLE, d->why);
    return;
  }
  if (l->host) sock_set_send_timeout(fd, UNACKNOWLEDGED_SECONDS);
  link_adopt(l, transport_socket_new(l->home->loop, fd));
}

static void link_dial(struct redis_link *l) {
  l->state = LINK_DIALLING;
  if (l->home->stand_in) {
    struct transport *t = l->home->stand_in(l->home, l->host, l->port);
    if (t) link_adopt(l, t);
    else link_fail(l, REDIS_CODE_UNAVAILABLE, "Connection refused");
  } else if (l->host) dial_start(&l->dial, l->host, l->port);
  else dial_start_unix(&l->dial, l->address->path);
}

static void link_begin(struct redis_link *l) {
  loop_arm(l->home->loop, &l->timer, link_now(l) + l->times.connect);
  if (!l->locator) {
    link_dial(l);
    return;
  }
  l->state = LINK_LOCATING;
  l->locator->find(l->locator, l);
}

static double retry_after(struct redis_link *l) {
  double jitter = 0.5 + (double)rand_r(&l->home->seed) / RAND_MAX;
  double seconds = MIN(RETRY_FIRST * pow(2, MIN(l->failures, 20) - 1), RETRY_MAX);
  bool is_refused =
      l->code == REDIS_CODE_NOAUTH || l->code == REDIS_CODE_WRONGPASS || l->code == REDIS_CODE_NOPERM;
  return (is_refused ? MAX(seconds, RETRY_REFUSED) : seconds) * jitter;
}

static void link_tell_loss(struct redis_link *l) {
  double now = link_now(l);
  if (l->was_ready && now - l->ready_at >= STEADY_SECONDS) l->failures = 0;
  if (!l->failures++) log_message(LOG_WARN, "%s; it is tried again", l->why);
  l->state = LINK_WAITING;
  loop_arm(l->home->loop, &l->timer, now + retry_after(l));
  l->ops->on_lost(l);
}

static void link_act(struct redis_link *l) {
  if (l->state == LINK_DUE) link_begin(l);
  else if (l->state == LINK_FAILED) link_tell_loss(l);
  else if (is_carrying(l)) flush(l);
}

void redis_link_init(struct redis_link *l, struct redis_home *home, const struct redis_link_ops *ops,
                     const struct redis_address *address, const struct redis_times *times) {
  *l = (struct redis_link){.home = home, .ops = ops, .address = address, .times = *times};
  l->dial = (struct dial){.loop = home->loop, .resolver = home->resolver, .on_done = on_dialled};
  l->timer.on_fire = on_timer;
  list_init(&l->dirty_link);
  list_init(&l->locate_link);
  if (address->host_count) redis_link_move(l, address->hosts[0].name, address->hosts[0].port);
}

void redis_link_deinit(struct redis_link *l) {
  redis_link_close(l);
  redis_reader_deinit(&l->reader);
  free(l->host);
  l->host = NULL;
}

void redis_link_open(struct redis_link *l) {
  if (l->state != LINK_CLOSED) return;
  l->state = LINK_DUE;
  touch(l);
}

void redis_link_close(struct redis_link *l) {
  link_shut(l);
  list_remove(&l->dirty_link);
  l->state = LINK_CLOSED;
}

void redis_link_move(struct redis_link *l, const char *host, unsigned port) {
  char *copy = xstrdup(host);
  free(l->host);
  l->host = copy, l->port = port;
}

void redis_link_drop(struct redis_link *l, const char *why) {
  if (l->transport) link_fail(l, REDIS_CODE_UNAVAILABLE, why);
}

void redis_link_located(struct redis_link *l, const char *host, unsigned port, const char *why) {
  if (l->state != LINK_LOCATING) return;
  l->state = LINK_DIALLING;
  if (!host) {
    link_fail(l, REDIS_CODE_UNAVAILABLE, why);
    return;
  }
  redis_link_move(l, host, port);
  link_dial(l);
}

void redis_link_send(struct redis_link *l, struct span command, unsigned answers) {
  if (!l->expected) l->asked_at = link_now(l);
  l->expected += answers;
  buf_append_span(&l->out, command);
  watch_time(l);
  touch(l);
}
